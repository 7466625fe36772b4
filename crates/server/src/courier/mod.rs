//! What leaves the archive by itself: anchors for those who keep checkpoints elsewhere, and the journal for another archive.
//!
//! Both read behind the archive's writer, so that nobody who writes a message ever waits for them, and both go on after a
//! failure for ever: it is loud in the log and in the metrics.

mod link;
mod smtp;
mod web;

use std::sync::Arc;
use std::time::Duration;

use archive::{Anchor, AnchorFile, Carrier, JournalFolder, JournalOptions, Journalled, Keeper};
use async_trait::async_trait;
use metrics::{counter, gauge};
use serde::Serialize;
use tokio::sync::watch;
use vault::{Micros, Vault};

use self::smtp::Mailer;
use crate::config::{ArchiveSettings, Config, Goal};
use crate::files::Attached;
use crate::post::Trail;

/// How long a journal rests when there is nothing new.
const REST: Duration = Duration::from_millis(500);
/// How long it waits after the first failure.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an anchor waits to be tried again, at most.
const RETRY: Duration = Duration::from_secs(60);

/// Starts what the configuration asks for. It ends with the server.
pub fn start(config: &Config, trail: &Trail, vault: &Vault, stop: &watch::Receiver<bool>) {
    let ArchiveSettings { anchor, anchor_every, journal } = &config.archive;
    for goal in anchor {
        let Some(keeper) = keeper(config, goal) else { continue };
        tokio::spawn(anchors(trail.clone(), goal.to_string(), keeper, *anchor_every, stop.clone()));
    }
    for goal in journal {
        let Some(carrier) = carrier(config, goal) else { continue };
        let options =
            JournalOptions { name: goal.to_string(), domain: domain(config), rest: REST, patience: PATIENCE };
        let (journal, files, stop) = (trail.journal(options), Attached::new(vault.clone()), stop.clone());
        tokio::spawn(async move { journal.run(&*carrier, &files, stop).await });
    }
}

/// What became of an anchor.
#[derive(Clone, Debug, Serialize)]
pub struct Kept {
    /// Where it went.
    pub to: String,
    /// Why it did not.
    pub fault: Option<String>,
}

/// Signs where the chain stands, and takes that to everywhere that the configuration names.
///
/// # Errors
/// When nothing can be signed.
pub async fn anchor_now(
    config: &Config,
    trail: &Trail,
) -> Result<(Option<Anchor>, Vec<Kept>), archive::ArchiveError> {
    let checkpoint = trail.checkpoint().await?;
    let mut kept = Vec::new();
    for goal in &config.archive.anchor {
        let to = goal.to_string();
        let Some(keeper) = keeper(config, goal) else { continue };
        let fault = trail.anchor(&to, &*keeper).await.err();
        kept.push(Kept { to, fault });
    }
    let anchor = checkpoint.map(|checkpoint| Anchor::new(&checkpoint, &trail.public_key()));
    Ok((anchor, kept))
}

async fn anchors(
    trail: Trail,
    to: String,
    keeper: Box<dyn Keeper>,
    every: Duration,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let wait = match trail.anchor(&to, &*keeper).await {
            Ok(_) => {
                gauge!("chancery_anchor_last_seconds").set(Micros::now().seconds() as f64);
                every
            }
            Err(error) => {
                counter!("chancery_anchor_failures_total").increment(1);
                tracing::error!(%error, "a checkpoint could not be anchored; it is tried again");
                RETRY.min(every)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn keeper(config: &Config, goal: &Goal) -> Option<Box<dyn Keeper>> {
    Some(match goal {
        Goal::File(path) => Box::new(AnchorFile(path.clone())),
        Goal::Web(uri) => Box::new(web::Poster::new(uri.clone())),
        Goal::Mail(to) => Box::new(mailer(config, to)?),
    })
}

fn carrier(config: &Config, goal: &Goal) -> Option<Box<dyn Carrier>> {
    Some(match goal {
        Goal::File(folder) => Box::new(JournalFolder::new(folder)),
        Goal::Mail(to) => Box::new(mailer(config, to)?),
        // The configuration refuses it.
        Goal::Web(_) => return None,
    })
}

fn mailer(config: &Config, to: &str) -> Option<Mailer> {
    Some(Mailer::new(Arc::new(config.mail.clone()?), to.to_owned()))
}

fn domain(config: &Config) -> String {
    config.domains.first().map_or_else(|| "localhost".to_owned(), ToString::to_string)
}

#[async_trait]
impl Carrier for Mailer {
    async fn carry(&self, event: &Journalled) -> Result<(), String> {
        self.send(&event.message).await.map_err(|error| error.to_string())
    }

    async fn settle(&self) -> Result<(), String> {
        // The other side takes responsibility with each message (RFC 5321 §4.2.5).
        Ok(())
    }
}

#[async_trait]
impl Keeper for Mailer {
    async fn keep(&self, anchor: &Anchor) -> Result<(), String> {
        let message = format!(
            "From: <{}>\r\nTo: <{}>\r\nDate: {}\r\nMessage-ID: <{}>\r\nSubject: Checkpoint of the archive at event {}\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             Keep this message. The line below is where the archive stood, signed by it;\r\n\
             chancery archive verify --anchors FILE checks that it still does.\r\n\r\n{}\r\n",
            self.from(),
            self.to(),
            smtp::date(Micros(anchor.signed.time)),
            format_args!(
                "checkpoint-{}-{}@chancery.invalid",
                anchor.signed.sequence,
                &anchor.signed.hash[..16]
            ),
            anchor.signed.sequence,
            fold(anchor.line().trim_end())
        );
        self.send(message.as_bytes()).await.map_err(|error| error.to_string())
    }
}

/// A line that mail carries as it is: an anchor has fewer letters than RFC 5322 §2.1.1 allows.
fn fold(line: &str) -> &str {
    debug_assert!(line.len() <= 998);
    line
}
