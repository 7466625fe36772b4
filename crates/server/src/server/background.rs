//! What goes on beside the connections.

use tokio::sync::{mpsc, watch};

use super::SWEEP;
use crate::history::Spooled;
use crate::office::Office;
use crate::people::People;
use crate::router::Spool;

/// Work on the offline spool that the router must not wait for.
pub(super) async fn spool_worker(spooled: Spooled, people: People, mut work: mpsc::UnboundedReceiver<Spool>) {
    while let Some(work) = work.recv().await {
        let user = match work {
            Spool::Flush(user) => user,
            Spool::Keep(jid, sequences) => {
                spooled.put(&jid, sequences).await;
                // Somebody may have come in while the lost session still held these.
                match people.loaded(&jid).filter(|user| user.is_reachable()) {
                    Some(user) => user,
                    None => continue,
                }
            }
            Spool::Done(done) => {
                let _ = done.send(());
                continue;
            }
        };
        let sessions = user.sessions();
        let best = sessions
            .iter()
            .filter(|session| session.takes_messages())
            .max_by_key(|session| session.priority());
        if let Some(session) = best {
            spooled.flush(session).await;
        }
    }
}

pub(super) async fn sweep(people: People, office: Office, mut stop: watch::Receiver<bool>) {
    if let Err(error) = office.tell_of_emergencies().await {
        tracing::warn!(%error, "the officers could not be told what happened while no server ran");
    }
    if let Err(error) = office.complete_erasures().await {
        tracing::error!(%error, "an erasure that was cut off could not be completed; the next start tries again");
    }
    let mut ticks = tokio::time::interval(SWEEP);
    let mut hours = tokio::time::interval(SWEEP * 60);
    loop {
        let hour = tokio::select! {
            _ = ticks.tick() => false,
            _ = hours.tick() => true,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match hour {
            false => people.sweep(),
            true => {
                if let Err(error) = office.sweep().await {
                    tracing::warn!(%error, "sessions and tokens that are over could not be removed");
                }
            }
        }
    }
}
