//! The FAST tokens of an account's clients (XEP-0484).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jid::BareJid;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::{Mutex, MutexGuard};
use vault::{Expect, Record, VaultError, Write};

use super::account::Now;
use super::{RETRIES, UserError, Users, local};
use crate::sasl::fast::{Candidate, Device, Secret, TokenUse};
use crate::sasl::{Mechanism, SaslFailure};

/// Clients of one account that may have tokens. The one that was idle for longest makes room.
pub const MAX_CLIENTS: usize = 32;

/// Random bytes that a token is derived from.
const SERIAL_BYTES: usize = 16;

/// A token to hand to the client, once.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub secret: Secret,
    /// When it ceases to be good: seconds since 1970, UTC.
    pub expires: i64,
}

/// All tokens of an account: a record under its domain, by its localpart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Devices {
    /// Of which generation of the account they are; of another, they are void.
    generation: u64,
    devices: Vec<Device>,
}

impl Record for Devices {
    const KIND: u16 = 2;
}

impl Devices {
    fn find(&self, client: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.client == client)
    }

    /// The tokens of a client, for a change. Forgets what is spent and keeps to [`MAX_CLIENTS`].
    fn entry(&mut self, client: &str, now: i64) -> &mut Device {
        let position = match self.devices.iter().position(|device| device.client == client) {
            Some(position) => position,
            None => {
                self.devices.retain(|device| !device.is_spent(now));
                if self.devices.len() >= MAX_CLIENTS {
                    let last_use = |device: &Device| device.tokens().map(|token| token.expires).max();
                    let idle = (0..self.devices.len()).min_by_key(|at| last_use(&self.devices[*at]));
                    idle.map(|at| self.devices.remove(at));
                }
                self.devices.push(Device::new(client.to_owned()));
                self.devices.len() - 1
            }
        };
        &mut self.devices[position]
    }
}

/// Lets the clients of an account write one after the other. All of them come back at once when the
/// network or the server does, and would else run into each other's writes.
pub(super) struct Turns {
    names: RandomState,
    /// More accounts than locks only means waiting for another's commit now and then.
    locks: [Mutex<()>; 64],
}

impl Default for Turns {
    fn default() -> Self {
        Self { names: RandomState::new(), locks: std::array::from_fn(|_| Mutex::new(())) }
    }
}

impl Turns {
    async fn wait(&self, user: &BareJid) -> MutexGuard<'_, ()> {
        let hash = self.names.hash_one(user.as_str());
        // The remainder is below the number of locks, so the cast loses nothing.
        self.locks[(hash % self.locks.len() as u64) as usize].lock().await
    }
}

impl Users {
    /// The tokens of a client of an account, ready to be compared.
    pub(super) async fn tokens(
        &self,
        user: &BareJid,
        generation: u64,
        client: &str,
    ) -> Result<Vec<Candidate>, UserError> {
        let read = self.0.vault.get::<Devices>(user.domain().as_str(), local(user)?).await?;
        let Some(devices) = read.map(|read| read.value).filter(|devices| devices.generation == generation)
        else {
            return Ok(Vec::new());
        };
        let tokens = devices.find(client).into_iter().flat_map(Device::tokens);
        Ok(tokens
            .map(|token| Candidate {
                serial: token.serial.clone(),
                mechanism: token.mechanism,
                secret: self.secret(user, client, &token.serial),
            })
            .collect())
    }

    /// Uses a token, and gives the client another in its place. `wanted` is what the client asked for.
    ///
    /// The outer error is the vault's, the inner one the client's.
    pub(super) async fn redeem(
        &self,
        user: &BareJid,
        generation: u64,
        used: &TokenUse,
        wanted: Option<Mechanism>,
    ) -> Result<Result<Option<IssuedToken>, SaslFailure>, UserError> {
        self.change_device(user, generation, &used.client, |device, now, serial| {
            let redeemed = device.redeem(used, now)?;
            let mechanism = wanted.or(redeemed.rotate);
            Ok(mechanism.map(|mechanism| device.issue(mechanism, serial, now).expires))
        })
        .await
    }

    /// Gives a client its first token. None when the account's tokens were revoked meanwhile.
    pub(super) async fn issue(
        &self,
        user: &BareJid,
        generation: u64,
        client: &str,
        mechanism: Mechanism,
    ) -> Result<Option<IssuedToken>, UserError> {
        let issue = |device: &mut Device, now, serial| Ok(Some(device.issue(mechanism, serial, now).expires));
        Ok(self.change_device(user, generation, client, issue).await?.unwrap_or(None))
    }

    /// Changes the tokens of a client; the change may use up the new serial and then tells when the token
    /// expires.
    async fn change_device(
        &self,
        user: &BareJid,
        generation: u64,
        client: &str,
        change: impl Fn(&mut Device, i64, Vec<u8>) -> Result<Option<i64>, SaslFailure>,
    ) -> Result<Result<Option<IssuedToken>, SaslFailure>, UserError> {
        let (domain, local) = (user.domain().as_str(), local(user)?);
        let _turn = self.0.turns.wait(user).await;
        for _ in 0..RETRIES {
            let (mut devices, expect) = match self.0.vault.get::<Devices>(domain, local).await? {
                Some(read) => (read.value, Expect::Version(read.version)),
                None => (Devices::default(), Expect::Absent),
            };
            if devices.generation > generation {
                return Ok(Err(SaslFailure::NotAuthorized));
            }
            if devices.generation < generation {
                devices = Devices { generation, devices: Vec::new() };
            }
            let now = Now::read().seconds();
            let mut serial = vec![0; SERIAL_BYTES];
            getrandom::fill(&mut serial).map_err(|_| VaultError::Random)?;
            let expires = match change(devices.entry(client, now), now, serial.clone()) {
                Ok(expires) => expires,
                Err(failure) => return Ok(Err(failure)),
            };
            devices.devices.retain(|device| device.tokens().next().is_some());
            let put = Write::put(domain, local, &devices, expect)?;
            match self.0.vault.apply(vec![put]).await {
                Ok(_) => {
                    let secret = self.secret(user, client, &serial);
                    return Ok(Ok(expires.map(|expires| IssuedToken { secret, expires })));
                }
                Err(VaultError::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(VaultError::Conflict.into())
    }

    /// The token of a serial: 256 bits that only the holder of the vault's key can compute.
    fn secret(&self, user: &BareJid, client: &str, serial: &[u8]) -> Secret {
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0.token_key[..]) else {
            unreachable!("HMAC takes keys of every length");
        };
        for part in [user.as_str().as_bytes(), client.as_bytes(), serial] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        Secret::new(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}
