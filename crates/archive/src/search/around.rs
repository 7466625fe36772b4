//! What was said around a hit.

use vault::Window;

use super::find::Search;
use super::inquiry::{Hit, Line};
use super::reading::Reading;
use crate::{Ledger, Result, body, history};

impl Search<'_> {
    /// What was said in a hit's conversation before or after it, from the hit outwards.
    pub(super) async fn beside(&self, hit: &Hit, wanted: usize, backwards: bool) -> Result<Vec<Line>> {
        let item = &hit.item;
        let (from, to) = (item.from.to_bare(), item.to.to_bare());
        let in_room = Reading::new(item).in_room;
        let tag = match in_room {
            true => history::owner_tag(self.vault, &to, Ledger::Messages),
            false => history::pair_tag(self.vault, from.as_str(), to.as_str()),
        };
        let mut lines = Vec::new();
        let mut window = Window { limit: 4 * wanted, backwards, ..Window::first(wanted) };
        match backwards {
            true => window.before = Some(item.sequence),
            false => window.after = item.sequence,
        }
        let mut events = self.vault.store().tagged_events(tag, window).await?;
        events.retain(|event| self.is_in_books(event));
        for item in body::open_all(self.vault, &events).await? {
            let reading = Reading::new(&item);
            if item.ledger == Ledger::Messages && reading.in_room == in_room && !reading.text.is_empty() {
                let text = reading.text;
                lines.push(Line { item, text });
            }
            if lines.len() == wanted {
                break;
            }
        }
        Ok(lines)
    }
}
