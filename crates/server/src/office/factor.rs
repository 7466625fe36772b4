//! The second factor: an authenticator app, set up by whoever has the account, and codes for when it is lost.

use std::net::IpAddr;
use std::time::Instant;

use archive::Deed;
use jid::BareJid;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use vault::{Expect, Record, Vault, VaultError, Versioned, Write};
use zeroize::Zeroizing;

use super::access::Right;
use super::actor::{Actor, Door};
use super::refusal::Refusal;
use super::sign_in::Credentials;
use super::warrant::Entry;
use super::{Office, totp};
use crate::clock;
use crate::sasl::keys::base64_bytes;

/// Codes for when the authenticator is lost.
const RECOVERY_CODES: usize = 10;
/// Crockford's letters: none looks like another.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// How often a write is tried again that others were quicker with.
const RETRIES: usize = 8;

/// Somebody's second factor: a record by their address.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Factor {
    /// Shared with the authenticator.
    #[serde(with = "base64_bytes")]
    secret: Vec<u8>,
    /// Whether a code has shown that the authenticator has it.
    confirmed: bool,
    /// The step of the last code that was taken.
    last: u64,
    /// Hashes of the recovery codes that are left.
    recovery: Vec<String>,
}

impl Record for Factor {
    const KIND: u16 = crate::kinds::SECOND_FACTOR;
}

impl Factor {
    /// The write that forgets it.
    pub(crate) fn delete(user: &BareJid) -> Write {
        Write::delete::<Self>("", user.as_str(), Expect::Any)
    }

    async fn find(vault: &Vault, user: &BareJid) -> Result<Option<Versioned<Self>>, VaultError> {
        vault.get::<Self>("", user.as_str()).await
    }
}

/// How somebody's second factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FactorView {
    /// Whether signing in wants a code.
    pub on: bool,
    /// How many recovery codes are left.
    pub recovery_codes_left: usize,
}

/// What an authenticator is set up with. Shown once.
#[derive(Serialize, ToSchema)]
pub struct Enrolment {
    /// To be typed into the authenticator, in base 32.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    pub secret: String,
    /// The same as an address for a QR code.
    #[schema(
        example = "otpauth://totp/corp.example:anna%40corp.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    )]
    pub uri: String,
}

impl Office {
    /// How the actor's second factor is.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn factor(&self, actor: &Actor) -> Result<FactorView, Refusal> {
        actor.must(Right::OwnAccount)?;
        let found = Factor::find(&self.0.vault, actor.who()).await?.map(|found| found.value);
        let found = found.filter(|factor| factor.confirmed);
        Ok(FactorView {
            on: found.is_some(),
            recovery_codes_left: found.map_or(0, |factor| factor.recovery.len()),
        })
    }

    /// Begins to set one up. Nothing changes before [`Office::confirm_factor`].
    ///
    /// # Errors
    /// The password is wrong, or there is one already.
    pub async fn begin_factor(
        &self,
        actor: &Actor,
        password: Zeroizing<String>,
        peer: IpAddr,
    ) -> Result<Enrolment, Refusal> {
        actor.must_be_present()?;
        let (vault, user) = (&self.0.vault, actor.who());
        if Factor::find(vault, user).await?.is_some_and(|found| found.value.confirmed) {
            return Err(Refusal::Conflict("there is a second factor already; remove it first".to_owned()));
        }
        self.prove(&Credentials { user: user.to_string(), password, code: None }, peer).await?;
        let mut secret = Zeroizing::new(vec![0; 20]);
        getrandom::fill(&mut secret).map_err(|_| Refusal::Failed)?;
        let factor = Factor { secret: secret.to_vec(), confirmed: false, last: 0, recovery: Vec::new() };
        vault.apply(vec![Write::put("", user.as_str(), &factor, Expect::Any)?]).await?;
        Ok(Enrolment {
            secret: totp::base32(&secret).to_string(),
            uri: totp::uri(&secret, user.as_str(), user.domain().as_str()).to_string(),
        })
    }

    /// Shows that the authenticator has the secret. From now on signing in wants a code. Gives the recovery codes, once.
    ///
    /// # Errors
    /// [`Refusal::WrongCode`]; none was begun; it cannot be put on record or stored.
    pub async fn confirm_factor(
        &self,
        actor: &Actor,
        code: &str,
        peer: IpAddr,
    ) -> Result<Vec<String>, Refusal> {
        actor.must_be_present()?;
        let (vault, user) = (&self.0.vault, actor.who());
        let found = Factor::find(vault, user).await?.filter(|found| !found.value.confirmed);
        let found = found.ok_or_else(|| Refusal::Conflict("begin to set it up first".to_owned()))?;
        self.may_guess(user, peer)?;
        let Versioned { value: mut factor, version } = found;
        let Some(step) = totp::check(&factor.secret, code, clock::seconds(), factor.last) else {
            self.0.codes.failed(user, peer, Instant::now());
            return Err(Refusal::WrongCode);
        };
        let codes = (0..RECOVERY_CODES).map(|_| new_code()).collect::<Result<Vec<_>, _>>()?;
        factor.confirmed = true;
        factor.last = step;
        factor.recovery = codes.iter().map(|code| hash(user, code)).collect();
        let entry = Entry { deed: Deed::Account, details: json!({ "second_factor": "on" }) };
        self.licence(actor, Right::OwnAccount, None, entry).await?;
        vault.apply(vec![Write::put("", user.as_str(), &factor, Expect::Version(version))?]).await?;
        if let Door::Session(name) = actor.door() {
            self.raise_session(name).await?;
        }
        Ok(codes)
    }

    /// Takes the second factor off the actor's account.
    ///
    /// # Errors
    /// Password or code are wrong; it cannot be put on record or stored.
    pub async fn remove_factor(
        &self,
        actor: &Actor,
        password: Zeroizing<String>,
        code: Zeroizing<String>,
        peer: IpAddr,
    ) -> Result<(), Refusal> {
        actor.must_be_present()?;
        let credentials = Credentials { user: actor.who().to_string(), password, code: Some(code) };
        if !self.prove(&credentials, peer).await?.factor {
            return Err(Refusal::Missing("there is no second factor".to_owned()));
        }
        let entry = Entry { deed: Deed::Account, details: json!({ "second_factor": "off" }) };
        self.licence(actor, Right::OwnAccount, None, entry).await?;
        Ok(self.0.vault.apply(vec![Factor::delete(actor.who())]).await.map(drop)?)
    }

    /// Takes the second factor off the account of somebody who lost it.
    ///
    /// # Errors
    /// The actor may not take the account over; it cannot be put on record or stored.
    pub async fn reset_factor(&self, actor: &Actor, user: &BareJid) -> Result<(), Refusal> {
        let account = self.account(user).await?;
        self.must_take_over(actor, user, &account)?;
        let details = json!({ "of": user.as_str(), "second_factor": "reset" });
        self.note(actor, Entry { deed: Deed::Account, details }).await?;
        Ok(self.0.vault.apply(vec![Factor::delete(user)]).await.map(drop)?)
    }

    /// Checks the second factor of somebody whose password was right: whether there is one, and it was shown.
    pub(super) async fn check_factor(
        &self,
        user: &BareJid,
        code: Option<&str>,
        peer: IpAddr,
    ) -> Result<bool, Refusal> {
        let vault = &self.0.vault;
        for _ in 0..RETRIES {
            let found = Factor::find(vault, user).await?.filter(|found| found.value.confirmed);
            let Some(Versioned { value: mut factor, version }) = found else { return Ok(false) };
            let code = code.ok_or(Refusal::SecondFactor)?;
            self.may_guess(user, peer)?;
            if !factor.take(user, code) {
                self.0.codes.failed(user, peer, Instant::now());
                return Err(Refusal::WrongCode);
            }
            // The code is used up in the moment in which it counts, so that it cannot count twice.
            match vault.apply(vec![Write::put("", user.as_str(), &factor, Expect::Version(version))?]).await {
                Ok(_) => {
                    self.0.codes.succeeded(user, peer);
                    return Ok(true);
                }
                Err(VaultError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::Changed)
    }

    fn may_guess(&self, user: &BareJid, peer: IpAddr) -> Result<(), Refusal> {
        match self.0.codes.may_guess(user, peer, Instant::now()) {
            true => Ok(()),
            false => Err(Refusal::TooMany { seconds: 60 }),
        }
    }
}

impl Factor {
    /// Uses a code up, of the authenticator or for recovery; false if it is not good.
    fn take(&mut self, user: &BareJid, code: &str) -> bool {
        if let Some(step) = totp::check(&self.secret, code, clock::seconds(), self.last) {
            self.last = step;
            return true;
        }
        let given = hash(user, &code.to_ascii_lowercase());
        let before = self.recovery.len();
        self.recovery.retain(|left| !bool::from(left.as_bytes().ct_eq(given.as_bytes())));
        self.recovery.len() < before
    }
}

/// A recovery code of 50 bits.
fn new_code() -> Result<String, Refusal> {
    let mut random = Zeroizing::new([0; 10]);
    getrandom::fill(&mut *random).map_err(|_| Refusal::Failed)?;
    let mut letters = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let half: String = letters.by_ref().take(5).collect();
    Ok(format!("{half}-{}", letters.collect::<String>()))
}

fn hash(user: &BareJid, code: &str) -> String {
    let letters: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let mut hash = Sha256::new();
    hash.update(user.as_str());
    hash.update([0]);
    hash.update(letters);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
