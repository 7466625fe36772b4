//! The door: exchanges, accounts and limits together.
//!
//! Whether an account exists shows neither in what is answered nor in how much is computed for it. What
//! remains is that the first question for a name reads the vault, and later ones, for whoever asks, do not:
//! somebody close by may guess from one measurement that an account was in use lately. The limit per address
//! keeps such measurements few.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use jid::{BareJid, DomainPart};

use super::{Account, IssuedToken, SignInLimit, UserError, Users};
use crate::sasl::fast::MAX_CLIENT_BYTES;
use crate::sasl::{
    Context, Credentials, Exchange, FastRequest, Hash, Lookup, Mechanism, Offer, SaslFailure, Step, Success,
    Wants,
};

/// Signs clients in. Cheap to clone; one serves all listeners.
#[derive(Clone)]
pub struct SignIn {
    users: Users,
    limit: Arc<SignInLimit>,
}

/// What a client asks for with `<auth/>` (RFC 6120 §6.4.2) or `<authenticate/>` (XEP-0388 §2.3).
#[derive(Clone, Debug)]
pub struct Request {
    /// The name of the mechanism.
    pub mechanism: String,
    /// The domain of the stream.
    pub domain: DomainPart,
    /// Where the client is.
    pub peer: IpAddr,
    /// The `id` of its `<user-agent/>`, without which there are no tokens.
    pub client: Option<String>,
    /// The `<fast/>` of its request.
    pub fast: Option<Fast>,
    /// The `mechanism` of its `<request-token/>`.
    pub token: Option<String>,
}

/// `<fast/>` of a request (XEP-0484 §3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fast {
    /// Its `count`.
    pub count: Option<u64>,
    /// Its `invalidate`.
    pub invalidate: bool,
}

impl Request {
    /// A request of RFC 6120, which knows nothing of tokens.
    pub fn new(mechanism: &str, domain: DomainPart, peer: IpAddr) -> Self {
        Self { mechanism: mechanism.to_owned(), domain, peer, client: None, fast: None, token: None }
    }
}

/// A sign-in under way.
pub struct Attempt {
    /// None while a blocking thread has it.
    exchange: Option<Exchange>,
    mechanism: Mechanism,
    peer: IpAddr,
    client: Option<String>,
    token: Option<Mechanism>,
    account: Option<Arc<Account>>,
    /// Whether the account had too many failures, so that this attempt fails whatever it proves.
    barred: bool,
}

/// What to tell the client.
#[derive(Debug)]
pub enum Answer {
    /// A challenge; may be of zero length.
    Challenge(Vec<u8>),
    /// It is signed in.
    SignedIn(SignedIn),
    /// It is not. Its next request begins a new attempt.
    Failure(SaslFailure),
}

/// Who signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The account's address, normalised.
    pub user: BareJid,
    /// The account.
    pub account: Arc<Account>,
    /// How.
    pub mechanism: Mechanism,
    /// Additional data with success; of zero length when there is none.
    pub data: Vec<u8>,
    /// A token for the client, for `<token xmlns='urn:xmpp:fast:0'/>`.
    pub token: Option<IssuedToken>,
}

impl SignIn {
    /// Signs in to these accounts within this limit.
    pub fn new(users: Users, limit: Arc<SignInLimit>) -> Self {
        Self { users, limit }
    }

    /// The accounts.
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// The limit, for when the configuration changes.
    pub fn limit(&self) -> &Arc<SignInLimit> {
        &self.limit
    }

    /// Signs in whom the transport vouches for (SASL EXTERNAL, RFC 4422 appendix A). `authzid` may only repeat who that
    /// is.
    ///
    /// # Errors
    /// [`SaslFailure::InvalidAuthzid`] for anybody else, [`SaslFailure::NotAuthorized`] when the account is not of the
    /// stream's domain or does not exist any more, [`SaslFailure::AccountDisabled`].
    pub async fn external(
        &self,
        request: &Request,
        owner: &BareJid,
        authzid: &[u8],
    ) -> Result<SignedIn, SaslFailure> {
        if !self.limit.admit(request.peer, Instant::now()) {
            return Err(SaslFailure::TemporaryAuthFailure);
        }
        if !authzid.is_empty() && authzid != owner.as_str().as_bytes() {
            return Err(SaslFailure::InvalidAuthzid);
        }
        if owner.domain().as_str() != request.domain.as_str() {
            return Err(SaslFailure::NotAuthorized);
        }
        let account = self.users.find(owner).await.map_err(|_| SaslFailure::TemporaryAuthFailure)?;
        let account = account.ok_or(SaslFailure::NotAuthorized)?;
        if account.disabled {
            return Err(SaslFailure::AccountDisabled);
        }
        let (user, mechanism) = (owner.clone(), Mechanism::External);
        Ok(SignedIn { user, account, mechanism, data: Vec::new(), token: None })
    }

    /// Begins to sign a client in. `offer` is what its stream advertised.
    ///
    /// # Errors
    /// [`SaslFailure::TemporaryAuthFailure`] when its address tried too often; it says nothing of any account.
    /// Otherwise when the mechanism is not on offer or the request is not well formed.
    pub fn begin(&self, request: Request, offer: &Arc<Offer>) -> Result<Attempt, SaslFailure> {
        let Request { mechanism, domain, peer, client, fast, token } = request;
        if !self.limit.admit(peer, Instant::now()) {
            return Err(SaslFailure::TemporaryAuthFailure);
        }
        let mechanism = offer.select(&mechanism, fast.is_some())?;
        if client.as_ref().is_some_and(|client| client.is_empty() || client.len() > MAX_CLIENT_BYTES) {
            return Err(SaslFailure::MalformedRequest);
        }
        let token = match token {
            Some(_) if client.is_none() => return Err(SaslFailure::MalformedRequest),
            Some(name) => Some(offer.select(&name, true)?),
            None => None,
        };
        let mut context = Context::new(domain, offer.clone(), self.users.decoy().clone())?;
        if let Some(Fast { count, invalidate }) = fast {
            let client = client.clone().ok_or(SaslFailure::MalformedRequest)?;
            context.fast = Some(FastRequest { client, count, invalidate });
        }
        Ok(Attempt {
            exchange: Some(Exchange::start(mechanism, context)),
            mechanism,
            peer,
            client,
            token,
            account: None,
            barred: false,
        })
    }

    /// Takes the client's next message; None when `<auth/>` came without one.
    pub async fn step(&self, attempt: &mut Attempt, message: Option<&[u8]>) -> Answer {
        match self.advance(attempt, message).await {
            Ok(Step::Success(success)) => self.admit(attempt, success).await,
            Ok(Step::Challenge(challenge)) => Answer::Challenge(challenge),
            Ok(Step::Failure(failure)) => self.refuse(attempt, failure),
            Ok(Step::Lookup(_)) | Err(UserError::ShuttingDown) => {
                Answer::Failure(SaslFailure::TemporaryAuthFailure)
            }
            Err(error) => {
                tracing::warn!(%error, "a sign-in failed because accounts cannot be read");
                Answer::Failure(SaslFailure::TemporaryAuthFailure)
            }
        }
    }

    /// Steps the exchange and answers what it asks of the accounts.
    async fn advance(&self, attempt: &mut Attempt, message: Option<&[u8]>) -> Result<Step, UserError> {
        let malformed = Ok(Step::Failure(SaslFailure::MalformedRequest));
        let Some(exchange) = &mut attempt.exchange else { return malformed };
        let Lookup { user, wants } = match exchange.step(message) {
            Step::Lookup(lookup) => lookup,
            step => return Ok(step),
        };
        self.bar(attempt);
        attempt.account = self.users.find(&user).await?;
        let keys = |hash: Hash| {
            attempt.account.as_ref().map(|account| Credentials::Keys {
                keys: account.keys(hash).clone(),
                disabled: account.disabled,
            })
        };
        let credentials = match &wants {
            Wants::Keys(hash) => keys(*hash),
            // Hashing would be in vain.
            Wants::Password if attempt.barred => return Ok(Step::Failure(SaslFailure::NotAuthorized)),
            Wants::Password => keys(Hash::Sha256),
            Wants::Tokens { client } => {
                // Read for accounts that do not exist, too: it takes its time.
                let generation = attempt.account.as_ref().map_or(0, |account| account.generation);
                let tokens = self.users.tokens(&user, generation, client).await?;
                let disabled = attempt.account.as_ref().is_some_and(|account| account.disabled);
                Some(Credentials::Tokens { tokens, disabled })
            }
        };
        let Some(mut exchange) = attempt.exchange.take() else { return malformed };
        let resume = move || {
            let step = exchange.resume(credentials);
            (exchange, step)
        };
        let (exchange, step) = match wants {
            Wants::Password => self.users.compute(resume).await?,
            Wants::Keys(_) | Wants::Tokens { .. } => resume(),
        };
        attempt.exchange = Some(exchange);
        Ok(step)
    }

    /// Bars the attempt when its account had too many failures. Asked at the start, to save work, and again
    /// at the end, because attempts that ran side by side would else all be judged by the state before them.
    fn bar(&self, attempt: &mut Attempt) {
        // Tokens cannot be guessed, so failures with passwords must not keep them out.
        if attempt.mechanism.is_fast() {
            return;
        }
        if let Some(user) = attempt.exchange.as_ref().and_then(Exchange::user) {
            attempt.barred |= !self.limit.may_guess(user, attempt.peer, Instant::now());
        }
    }

    /// The client proved who it is: lets it in unless the account is barred or its token is void.
    async fn admit(&self, attempt: &mut Attempt, success: Success) -> Answer {
        let Success { user, data, token: used } = success;
        self.bar(attempt);
        let Some(account) = attempt.account.clone().filter(|_| !attempt.barred) else {
            return Answer::Failure(SaslFailure::NotAuthorized);
        };
        let issued = match (&used, &attempt.client, attempt.token) {
            (Some(used), _, wanted) => {
                match self.users.redeem(&user, account.generation, used, wanted).await {
                    Ok(Ok(issued)) => Ok(issued),
                    Ok(Err(failure)) => return Answer::Failure(failure),
                    // The disk is full, say. Without a promise to keep on disk the token is as good as before.
                    Err(error) if used.count.is_none() && !used.invalidate => Err(error),
                    Err(error) => {
                        tracing::warn!(%error, "a token could not be used up");
                        return Answer::Failure(SaslFailure::TemporaryAuthFailure);
                    }
                }
            }
            (None, Some(client), Some(mechanism)) => {
                self.users.issue(&user, account.generation, client, mechanism).await
            }
            (None, _, _) => Ok(None),
        };
        let token = issued.unwrap_or_else(|error| {
            tracing::warn!(%error, "no token could be given to a client; it signs in with its password again");
            None
        });
        if used.is_none() {
            self.limit.succeeded(&user, attempt.peer);
        }
        Answer::SignedIn(SignedIn { user, account, mechanism: attempt.mechanism, data, token })
    }

    fn refuse(&self, attempt: &mut Attempt, failure: SaslFailure) -> Answer {
        self.bar(attempt);
        let user = attempt.exchange.as_ref().and_then(Exchange::user);
        let counts = failure.is_wrong_guess() && !attempt.barred && !attempt.mechanism.is_fast();
        if let Some(user) = user.filter(|_| counts) {
            self.limit.failed(user, attempt.peer, Instant::now());
        }
        // A barred account must not tell the right password from a wrong one by another failure.
        Answer::Failure(if attempt.barred { SaslFailure::NotAuthorized } else { failure })
    }
}
