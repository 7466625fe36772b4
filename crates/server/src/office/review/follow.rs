//! Keeping supervision up to date while a server runs, away from the way of messages.

use std::time::Duration;

use archive::Micros;
use archive::review::Company;
use jid::BareJid;
use tokio::sync::watch::Receiver;

use super::super::Office;
use super::super::refusal::Refusal;
use crate::directory::Profile;

/// How often the follower looks whether something was said.
const PAUSE: Duration = Duration::from_secs(5);
/// Events that it looks at before others get their turn.
const STRIDE: u64 = 2048;

/// Follows until the server stops.
pub(crate) async fn watch(office: Office, mut stop: Receiver<bool>) {
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        loop {
            if *stop.borrow() {
                return;
            }
            match office.supervise().await {
                Ok(true) => break,
                Ok(false) => tokio::task::yield_now().await,
                Err(error) => {
                    tracing::warn!(%error, "supervision could not follow the archive");
                    break;
                }
            }
        }
    }
}

impl Office {
    /// Notes where supervision begins on a folder that has never had it.
    ///
    /// # Errors
    /// What the storage says.
    pub(crate) async fn begin_supervision(&self) -> Result<(), Refusal> {
        Ok(self.0.shelves.follower().begin().await?)
    }

    /// Looks at some of what has been said. Whether nothing is left.
    async fn supervise(&self) -> Result<bool, Refusal> {
        let follower = self.0.shelves.follower();
        // Without rules nobody's groups matter.
        let company = match follower.is_idle().await? {
            true => Company::default(),
            false => self.company().await?,
        };
        Ok(follower.follow(&company, STRIDE, Micros::now()).await?.at_end)
    }

    /// The company as it is now.
    pub(in super::super) async fn company(&self) -> Result<Company, Refusal> {
        let mut company = Company::default();
        for domain in &self.0.domains {
            let domain = domain.as_str();
            let ours = [domain.to_owned(), format!("conference.{domain}"), format!("pubsub.{domain}")];
            company.domains.extend(ours);
            for (address, profile) in self.0.vault.list::<Profile>(domain).await? {
                if let Ok(address) = BareJid::new(&address) {
                    company.groups.insert(address, profile.value.groups);
                }
            }
        }
        Ok(company)
    }
}
