//! The registrations of one loaded account, and what is under way for each.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Registration;

/// Registrations of one account.
const MOST: usize = 20;

/// See the module.
#[derive(Default)]
pub struct Registrations {
    /// Whether there are any: nearly nobody has, and every message asks.
    any: AtomicBool,
    list: Mutex<Vec<Active>>,
}

struct Active {
    registration: Registration,
    /// Messages since the device was last seen.
    waiting: u32,
    /// There is something that no push has told.
    due: bool,
    under_way: bool,
}

/// A push to be sent. [`Registrations::sent`] is due afterwards.
pub struct Ticket {
    /// For whom.
    pub registration: Registration,
    /// How many messages wait.
    pub waiting: u32,
}

impl Registrations {
    /// What is stored.
    pub fn new(stored: impl IntoIterator<Item = Registration>) -> Self {
        let list: Vec<_> = stored.into_iter().map(Active::new).collect();
        Self { any: AtomicBool::new(!list.is_empty()), list: Mutex::new(list) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Whether another one has room.
    pub fn has_room_for(&self, registration: &Registration) -> bool {
        let list = self.list.lock();
        list.len() < MOST || list.iter().any(|active| active.registration.key() == registration.key())
    }

    /// Takes in one that is stored now, in place of an earlier one for the same device.
    pub fn set(&self, registration: Registration) {
        let mut list = self.list.lock();
        list.retain(|active| active.registration.key() != registration.key());
        list.push(Active::new(registration));
        self.any.store(true, Ordering::Release);
    }

    /// Those at a service, of one node or of all.
    pub fn at(&self, service: &str, node: Option<&str>) -> Vec<Registration> {
        let list = self.list.lock();
        let there = list.iter().map(|active| &active.registration).filter(|registration| {
            registration.service == service && (node.is_none() || registration.node.as_deref() == node)
        });
        there.cloned().collect()
    }

    /// Forgets one.
    pub fn remove(&self, key: &str) {
        let mut list = self.list.lock();
        list.retain(|active| active.registration.key() != key);
        self.any.store(!list.is_empty(), Ordering::Release);
    }

    /// A message has come. Returns whether a push is due now; `is_here` says which resources are connected.
    pub fn notice(&self, is_here: impl Fn(&str) -> bool) -> bool {
        let mut due = false;
        for active in self.list.lock().iter_mut() {
            if !is_here(&active.registration.resource) {
                active.waiting = active.waiting.saturating_add(1);
                active.due = true;
                due |= !active.under_way;
            }
        }
        due
    }

    /// A device is back and sees for itself.
    pub fn seen(&self, resource: &str) {
        if self.is_empty() {
            return;
        }
        for active in self.list.lock().iter_mut().filter(|active| active.registration.resource == resource) {
            (active.waiting, active.due) = (0, false);
        }
    }

    /// What is to be sent now, each at most once at a time.
    pub fn take_due(&self) -> Vec<Ticket> {
        let mut list = self.list.lock();
        let due = list.iter_mut().filter(|active| active.due && !active.under_way);
        due.map(|active| {
            (active.due, active.under_way) = (false, true);
            Ticket { registration: active.registration.clone(), waiting: active.waiting }
        })
        .collect()
    }

    /// A push has come to its end. Returns whether another one is due.
    pub fn sent(&self, key: &str) -> bool {
        let mut list = self.list.lock();
        let Some(active) = list.iter_mut().find(|active| active.registration.key() == key) else {
            return false;
        };
        active.under_way = false;
        active.due
    }
}

impl Active {
    fn new(registration: Registration) -> Self {
        Self { registration, waiting: 0, due: false, under_way: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(node: &str) -> Registration {
        Registration {
            service: "push.example".into(),
            node: Some(node.into()),
            options: None,
            resource: node.into(),
        }
    }

    #[test]
    fn one_push_is_under_way_and_what_comes_meanwhile_is_one_more() {
        let all = Registrations::new([device("phone")]);
        assert!(all.notice(|_| false));
        let first = all.take_due();
        assert_eq!((first.len(), first[0].waiting), (1, 1));
        assert!(!all.notice(|_| false), "it waits for the first");
        assert!(!all.notice(|_| false));
        assert!(all.take_due().is_empty());
        assert!(all.sent(&device("phone").key()));
        assert_eq!(all.take_due()[0].waiting, 3);
        assert!(!all.sent(&device("phone").key()));
    }

    #[test]
    fn a_device_that_is_here_gets_none_and_counts_anew() {
        let all = Registrations::new([device("phone"), device("tablet")]);
        assert!(all.notice(|resource| resource == "phone"));
        let due = all.take_due();
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].registration.resource, "tablet");
        all.sent(&device("tablet").key());
        all.seen("tablet");
        all.notice(|_| false);
        assert!(all.take_due().iter().all(|ticket| ticket.waiting == 1));
    }

    #[test]
    fn the_same_device_is_registered_once_and_not_too_many_are() {
        let all = Registrations::default();
        assert!(all.is_empty());
        for number in 0..MOST {
            assert!(all.has_room_for(&device(&number.to_string())));
            all.set(device(&number.to_string()));
        }
        assert!(!all.has_room_for(&device("more")) && all.has_room_for(&device("3")));
        all.set(device("3"));
        assert_eq!(all.at("push.example", None).len(), MOST);
        assert_eq!(all.at("push.example", Some("3")).len(), 1);
        all.remove(&device("3").key());
        assert!(all.at("push.example", Some("3")).is_empty());
    }
}
