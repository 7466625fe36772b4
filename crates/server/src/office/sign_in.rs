//! Signing in with the account's password, by the same road and under the same limits as XMPP clients.

use std::net::IpAddr;
use std::sync::Arc;

use jid::BareJid;
use zeroize::Zeroizing;

use super::actor::{Actor, Door};
use super::refusal::Refusal;
use super::{Office, awake};
use crate::sasl::{Channel, ChannelBindings, Mechanism, Offer, SaslFailure};
use crate::users::{Account, Answer, Request, SignedIn, Users};

/// What somebody shows to be let in. No `Debug`: it is secret.
pub struct Credentials {
    /// `name`, in the main domain, or `name@domain`.
    pub user: String,
    /// The account's password.
    pub password: Zeroizing<String>,
    /// What the authenticator shows, or a recovery code.
    pub code: Option<Zeroizing<String>>,
}

/// Somebody whose credentials were right. Only [`Office::prove`] makes one.
pub struct Proven {
    pub(super) user: BareJid,
    pub(super) account: Arc<Account>,
    /// Whether a second factor was shown.
    pub(super) factor: bool,
}

impl Office {
    /// Checks credentials. What is tried from one address, and on one account, is limited together with all other ways to
    /// sign in.
    ///
    /// # Errors
    /// What is wrong with them, without telling accounts that do not exist from others.
    pub async fn prove(&self, credentials: &Credentials, peer: IpAddr) -> Result<Proven, Refusal> {
        let Credentials { user, password, .. } = credentials;
        let address = match user.contains('@') {
            true => BareJid::new(user).map_err(|_| Refusal::Credentials)?,
            false => Users::address(user, self.main_domain()).map_err(|_| Refusal::Credentials)?,
        };
        let local = address.node().filter(|_| self.serves(address.domain())).ok_or(Refusal::Credentials)?;
        // The caller has seen to it that nobody reads along.
        let offer = Arc::new(Offer::new(Channel::Encrypted, ChannelBindings::default()));
        let request = Request::new(Mechanism::Plain.name(), address.domain().to_owned(), peer);
        let sign_in = &self.0.sign_in;
        let mut attempt = sign_in.begin(request, &offer).map_err(refusal)?;
        let message = Zeroizing::new(format!("\0{local}\0{}", **password));
        match sign_in.step(&mut attempt, Some(message.as_bytes())).await {
            Answer::SignedIn(SignedIn { user, account, .. }) => {
                let code = credentials.code.as_ref().map(|code| code.as_str());
                let factor = self.check_factor(&user, code, peer).await?;
                Ok(Proven { user, account, factor })
            }
            Answer::Failure(failure) => Err(refusal(failure)),
            Answer::Challenge(_) => Err(Refusal::Credentials),
        }
    }

    /// Lets somebody in for one command at the machine's console.
    ///
    /// # Errors
    /// As [`Office::prove`].
    pub async fn for_one_command(&self, credentials: &Credentials) -> Result<Actor, Refusal> {
        let proven = self.prove(credentials, IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)).await?;
        let (roles, asleep) = awake(&self.settings(), proven.account.roles, proven.factor);
        Ok(Actor::person(proven.user, roles, asleep, Door::Command))
    }
}

fn refusal(failure: SaslFailure) -> Refusal {
    match failure {
        SaslFailure::TemporaryAuthFailure => Refusal::TooMany { seconds: 60 },
        SaslFailure::AccountDisabled => Refusal::Disabled,
        _ => Refusal::Credentials,
    }
}
