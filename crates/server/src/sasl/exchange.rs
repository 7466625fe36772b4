//! One sign-in, whatever its mechanism.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jid::{BareJid, DomainPart};
use subtle::Choice;
use zeroize::Zeroizing;

use super::fast::{self, Candidate, TokenUse};
use super::{Decoy, Hash, Mechanism, Offer, SaslFailure, ScramKeys, plain, prep, scram};

/// The longest message of a client, in bytes before base64.
pub const MAX_MESSAGE_BYTES: usize = 8192;

/// Randomness in the server's part of a nonce, in bytes.
pub(super) const NONCE_BYTES: usize = 18;

/// What a sign-in happens in.
#[derive(Clone)]
pub struct Context {
    /// The domain of the stream, where the account lives.
    pub domain: DomainPart,
    /// What this stream advertised.
    pub offer: Arc<Offer>,
    /// Keys for accounts that do not exist.
    pub decoy: Decoy,
    /// The server's part of the nonce: printable ASCII without commas, never used twice.
    pub nonce: String,
    /// What XEP-0484 adds to the request; without it no FAST mechanism works.
    pub fast: Option<FastRequest>,
}

impl Context {
    /// A context with a fresh nonce and without FAST.
    ///
    /// # Errors
    /// [`SaslFailure::TemporaryAuthFailure`] when the operating system has no randomness to give.
    pub fn new(domain: DomainPart, offer: Arc<Offer>, decoy: Decoy) -> Result<Self, SaslFailure> {
        let mut random = [0; NONCE_BYTES];
        getrandom::fill(&mut random).map_err(|_| SaslFailure::TemporaryAuthFailure)?;
        Ok(Self { domain, offer, decoy, nonce: STANDARD.encode(random), fast: None })
    }
}

/// The FAST part of a request (XEP-0484 §3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FastRequest {
    /// The `id` of `<user-agent/>`, at most [`fast::MAX_CLIENT_BYTES`].
    pub client: String,
    /// The `count` of `<fast/>`.
    pub count: Option<u64>,
    /// The `invalidate` of `<fast/>`.
    pub invalidate: bool,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this to the client and pass its answer to [`Exchange::step`]. May be of zero length.
    Challenge(Vec<u8>),
    /// Find the credentials and pass them to [`Exchange::resume`].
    Lookup(Lookup),
    /// The client is who it says; unless [`Success::token`] still has to be redeemed.
    Success(Success),
    /// It is over.
    Failure(SaslFailure),
}

/// Which credentials are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The account.
    pub user: BareJid,
    /// What of it.
    pub wants: Wants,
}

/// What kind of credentials is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// [`Credentials::Keys`] of this hash.
    Keys(Hash),
    /// [`Credentials::Keys`] of any hash, to check a password with. [`Exchange::resume`] then costs
    /// milliseconds of computing: call it on a blocking thread.
    Password,
    /// [`Credentials::Tokens`] of this client.
    Tokens {
        /// [`FastRequest::client`].
        client: String,
    },
}

/// What is stored of an account for its sign-in.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The keys of its password.
    Keys {
        /// For the hash that was asked for.
        keys: Arc<ScramKeys>,
        /// Whether the account may not sign in.
        disabled: bool,
    },
    /// The tokens of one of its clients, two at most.
    Tokens {
        /// Those stored, expired ones too.
        tokens: Vec<Candidate>,
        /// Whether the account may not sign in.
        disabled: bool,
    },
}

/// A client proved who it is. An authorization identity, if it sent one, was this same account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    /// The account, normalised.
    pub user: BareJid,
    /// Additional data with success (RFC 6120 §6.3.10); of zero length when there is none.
    pub data: Vec<u8>,
    /// The token that was used. The sign-in only holds when `Device::redeem` accepts it.
    pub token: Option<TokenUse>,
}

/// One sign-in of one client, from the choice of a mechanism to success or failure.
pub struct Exchange {
    mechanism: Mechanism,
    context: Context,
    user: Option<BareJid>,
    state: State,
}

enum State {
    Start { asked: bool },
    Password(Zeroizing<String>),
    Keys(Box<scram::ClientFirst>, Hash),
    Proof { pending: Box<scram::Pending>, disabled: bool },
    Token { proof: Vec<u8>, binding: Vec<u8>, request: FastRequest },
    Over,
}

impl Exchange {
    /// Begins. The mechanism must come from [`Offer::select`].
    pub fn start(mechanism: Mechanism, context: Context) -> Self {
        Self { mechanism, context, user: None, state: State::Start { asked: false } }
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The account that the client wants to sign in to, once it has said so.
    pub fn user(&self) -> Option<&BareJid> {
        self.user.as_ref()
    }

    /// Takes a message of the client; None when its first request came without one, which is answered
    /// by an empty challenge. A step that does not fit the state is a malformed request; no input panics.
    pub fn step(&mut self, message: Option<&[u8]>) -> Step {
        let next = match (std::mem::replace(&mut self.state, State::Over), message) {
            (State::Start { asked: false }, None) => {
                self.state = State::Start { asked: true };
                Ok(Step::Challenge(Vec::new()))
            }
            (_, Some(message)) if message.len() > MAX_MESSAGE_BYTES => Err(SaslFailure::MalformedRequest),
            (State::Start { .. }, Some(message)) => self.first(message),
            (State::Proof { pending, disabled }, Some(message)) => {
                pending.finish(message).and_then(|data| self.succeed(disabled, data, None))
            }
            _ => Err(SaslFailure::MalformedRequest),
        };
        next.unwrap_or_else(Step::Failure)
    }

    /// Goes on after [`Step::Lookup`]: with the credentials, or None when there is no such account.
    pub fn resume(&mut self, credentials: Option<Credentials>) -> Step {
        let Some(user) = self.user.clone() else { return Step::Failure(SaslFailure::MalformedRequest) };
        let next = match std::mem::replace(&mut self.state, State::Over) {
            State::Password(password) => {
                let (keys, real, disabled) = self.keys(credentials, Hash::Sha256, &user);
                let matches = keys.match_password(&password) & real;
                if bool::from(matches) {
                    self.succeed(disabled, Vec::new(), None)
                } else {
                    Err(SaslFailure::NotAuthorized)
                }
            }
            State::Keys(first, hash) => {
                let (keys, real, disabled) = self.keys(credentials, hash, &user);
                // Keys of another hash cannot check this proof; treat them as none.
                let real = real & Choice::from(u8::from(keys.hash() == hash));
                let pending = first.answer(hash, keys, real, &self.context.nonce, &self.context.offer);
                let challenge = pending.server_first.clone().into_bytes();
                self.state = State::Proof { pending: Box::new(pending), disabled };
                Ok(Step::Challenge(challenge))
            }
            State::Token { proof, binding, request } => {
                let (tokens, disabled) = match credentials {
                    Some(Credentials::Tokens { tokens, disabled }) => (tokens, disabled),
                    _ => (Vec::new(), false),
                };
                match fast::verify(self.mechanism, &binding, &proof, &tokens) {
                    Some((serial, data)) => {
                        let FastRequest { client, count, invalidate } = request;
                        self.succeed(disabled, data, Some(TokenUse { client, serial, count, invalidate }))
                    }
                    None => Err(SaslFailure::NotAuthorized),
                }
            }
            _ => Err(SaslFailure::MalformedRequest),
        };
        next.unwrap_or_else(Step::Failure)
    }

    fn first(&mut self, message: &[u8]) -> Result<Step, SaslFailure> {
        let (user, wants) = match self.mechanism.scram() {
            Some((hash, plus)) => {
                let first = scram::ClientFirst::parse(message, plus, &self.context.offer)?;
                let name = stringprep::saslprep(&first.name).map_err(|_| SaslFailure::NotAuthorized)?;
                let user = prep::account(&name, &self.context.domain)?;
                prep::check_authzid(first.authzid.as_deref(), &user)?;
                self.state = State::Keys(Box::new(first), hash);
                (user, Wants::Keys(hash))
            }
            None if self.mechanism == Mechanism::Plain => {
                let plain::Message { authzid, authcid, password } = plain::parse(message)?;
                let user = prep::account(authcid, &self.context.domain)?;
                prep::check_authzid(authzid, &user)?;
                self.state = State::Password(password);
                (user, Wants::Password)
            }
            None => {
                let request = self.context.fast.take().ok_or(SaslFailure::MalformedRequest)?;
                if request.client.is_empty() || request.client.len() > fast::MAX_CLIENT_BYTES {
                    return Err(SaslFailure::MalformedRequest);
                }
                let binding = match self.mechanism.fixed_binding() {
                    None => &[],
                    Some(kind) => {
                        self.context.offer.bindings().data(kind).ok_or(SaslFailure::MalformedRequest)?
                    }
                };
                let fast::Message { authcid, proof } = fast::parse(message)?;
                let user = prep::account(authcid, &self.context.domain)?;
                let client = request.client.clone();
                self.state = State::Token { proof: proof.to_vec(), binding: binding.to_vec(), request };
                (user, Wants::Tokens { client })
            }
        };
        self.user = Some(user.clone());
        Ok(Step::Lookup(Lookup { user, wants }))
    }

    /// The account's keys, or made up ones of the same looks.
    fn keys(
        &self,
        credentials: Option<Credentials>,
        hash: Hash,
        user: &BareJid,
    ) -> (Arc<ScramKeys>, Choice, bool) {
        match credentials {
            Some(Credentials::Keys { keys, disabled }) => (keys, Choice::from(1), disabled),
            _ => (Arc::new(self.context.decoy.keys(hash, user)), Choice::from(0), false),
        }
    }

    fn succeed(
        &mut self,
        disabled: bool,
        data: Vec<u8>,
        token: Option<TokenUse>,
    ) -> Result<Step, SaslFailure> {
        if disabled {
            return Err(SaslFailure::AccountDisabled);
        }
        let user = self.user.clone().ok_or(SaslFailure::MalformedRequest)?;
        Ok(Step::Success(Success { user, data, token }))
    }
}
