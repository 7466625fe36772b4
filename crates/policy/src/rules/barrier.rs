//! Information barriers: groups that must not hear from each other.

use jid::BareJid;

use super::Who;

/// Two sides that must not talk, in neither direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// What reports and events call it; unique among rules and barriers.
    pub id: String,
    /// One side.
    pub one: Vec<Who>,
    /// The other.
    pub other: Vec<Who>,
    /// Who may talk with both.
    pub except: Vec<Who>,
    /// What the sender is told.
    pub reason: String,
}

impl Barrier {
    /// Whether it stands between two people. Somebody of both sides is a bridge by mistake, and stands on both.
    pub fn parts(&self, a: (&BareJid, &[String]), b: (&BareJid, &[String])) -> bool {
        let is_in = |side: &[Who], (who, groups): (&BareJid, &[String])| {
            side.iter().any(|some| some.includes(who, groups))
        };
        let apart =
            (is_in(&self.one, a) && is_in(&self.other, b)) || (is_in(&self.other, a) && is_in(&self.one, b));
        apart && a.0 != b.0 && !is_in(&self.except, a) && !is_in(&self.except, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_parts_both_ways_and_lets_exceptions_through() {
        let who = |text: &str| vec![Who::parse(text).unwrap()];
        let barrier = Barrier {
            id: "wall".to_owned(),
            one: who("group:Research"),
            other: who("group:Trading"),
            except: who("group:Compliance"),
            reason: String::new(),
        };
        let jid = |name: &str| BareJid::new(&format!("{name}@corp.example")).unwrap();
        let groups = |list: &[&str]| list.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>();
        let (a, b) = (jid("a"), jid("b"));
        let parts = |one: &[&str], other: &[&str]| barrier.parts((&a, &groups(one)), (&b, &groups(other)));
        assert!(parts(&["Research"], &["Trading"]) && parts(&["Trading"], &["Research"]));
        assert!(parts(&["Research", "Trading"], &["Trading"]));
        assert!(!parts(&["Research"], &["Research"]) && !parts(&["Research"], &[]));
        assert!(!parts(&["Research", "Compliance"], &["Trading"]));
        let both = groups(&["Research", "Trading"]);
        assert!(!barrier.parts((&a, &both), (&a, &both)));
    }
}
