//! One node: who stands how towards it and what follows from that (XEP-0060 §4). Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stanza::{BareJid, StanzaCondition, StanzaError};

use super::config::Config;
use super::error::error;
use super::words::{Access, Affiliation, Publishers, State};

/// The most subscribers of a node, and the most addresses with an affiliation.
pub const MOST_PEOPLE: usize = 1_000;

/// A node without its items, as stored. Parent: the owner's or the service's address; key: the node's name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Node {
    /// What is set.
    pub config: Config,
    /// By bare JID. The account that a personal node belongs to is its owner without being here.
    #[serde(default)]
    pub affiliations: BTreeMap<String, Affiliation>,
    /// By the JID that is notified.
    #[serde(default)]
    pub subscriptions: BTreeMap<String, Subscription>,
}

/// Somebody's wish to be notified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// How far it has come.
    pub state: State,
    /// Its name (`subid`).
    pub id: String,
}

/// How somebody stands towards a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// What they are to it.
    pub affiliation: Affiliation,
    /// Whether they see the owner's presence.
    pub sees: bool,
    /// The owner's roster groups that they are in.
    pub groups: Vec<String>,
    /// Whether they have a subscription in force.
    pub subscribed: bool,
}

impl Node {
    /// With this configuration and nobody on its lists.
    pub fn new(config: Config) -> Self {
        Self { config, affiliations: BTreeMap::new(), subscriptions: BTreeMap::new() }
    }

    /// What an address is to the node of `owner`.
    pub fn affiliation(&self, owner: &BareJid, who: &BareJid) -> Affiliation {
        if who == owner {
            return Affiliation::Owner;
        }
        self.affiliations.get(who.as_str()).copied().unwrap_or(Affiliation::None)
    }

    /// Whether any address of an account has a subscription in force.
    pub fn is_subscribed(&self, who: &BareJid) -> bool {
        let own = self.subscriptions.iter().filter(|(jid, _)| bare(jid) == who.as_str());
        own.into_iter().any(|(_, subscription)| subscription.state == State::Subscribed)
    }

    /// Everybody on its lists, by bare JID.
    pub fn people(&self) -> BTreeSet<&str> {
        let subscribers = self.subscriptions.keys().map(|jid| bare(jid));
        self.affiliations.keys().map(String::as_str).chain(subscribers).collect()
    }

    /// Takes somebody off its lists.
    pub fn strip(&mut self, who: &BareJid) {
        self.affiliations.remove(who.as_str());
        self.subscriptions.retain(|jid, _| bare(jid) != who.as_str());
    }

    /// Whether nobody but its one owner can read or write it, so that nothing is said to anybody here.
    pub fn is_private(&self, owner: &BareJid) -> bool {
        let closed =
            self.config.access == Access::Whitelist && self.config.publishers == Publishers::Publishers;
        let mut others = self.affiliations.iter().filter(|(jid, affiliation)| {
            **affiliation != Affiliation::Outcast && jid.as_str() != owner.as_str()
        });
        // A node of the service belongs to whoever made it.
        let alone = match owner.node() {
            Some(_) => others.next().is_none(),
            None => others.count() <= 1,
        };
        closed && alone
    }

    /// XEP-0060 §6.1.3 and §6.5.9.
    ///
    /// # Errors
    /// Why somebody may not read or subscribe.
    pub fn may_read(&self, standing: &Standing) -> Result<(), StanzaError> {
        match standing.affiliation {
            Affiliation::Owner => return Ok(()),
            Affiliation::Outcast | Affiliation::PublishOnly => return Err(StanzaCondition::Forbidden.into()),
            Affiliation::Publisher | Affiliation::Member if self.config.access != Access::Authorize => {
                return Ok(());
            }
            _ => {}
        }
        let allowed = match self.config.access {
            Access::Open => true,
            Access::Presence => standing.sees,
            Access::Roster => {
                standing.sees && standing.groups.iter().any(|group| self.config.groups.contains(group))
            }
            Access::Authorize => standing.subscribed,
            Access::Whitelist => false,
        };
        if allowed {
            return Ok(());
        }
        Err(match self.config.access {
            Access::Presence => error(StanzaCondition::NotAuthorized, "presence-subscription-required"),
            Access::Roster => error(StanzaCondition::NotAuthorized, "not-in-roster-group"),
            Access::Authorize | Access::Open => error(StanzaCondition::NotAuthorized, "not-subscribed"),
            Access::Whitelist => error(StanzaCondition::NotAllowed, "closed-node"),
        })
    }

    /// XEP-0060 §7.1.3.1.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn may_publish(&self, standing: &Standing) -> Result<(), StanzaError> {
        let allowed = match standing.affiliation {
            Affiliation::Owner | Affiliation::Publisher | Affiliation::PublishOnly => true,
            Affiliation::Outcast => false,
            Affiliation::Member | Affiliation::None => match self.config.publishers {
                Publishers::Publishers => false,
                Publishers::Subscribers => standing.subscribed,
                // Who may not read has no business here.
                Publishers::Open => self.may_read(standing).is_ok(),
            },
        };
        if allowed { Ok(()) } else { Err(StanzaCondition::Forbidden.into()) }
    }

    /// XEP-0060 §8.
    ///
    /// # Errors
    /// `forbidden` for who is no owner.
    pub fn may_own(&self, standing: &Standing) -> Result<(), StanzaError> {
        match standing.affiliation {
            Affiliation::Owner => Ok(()),
            _ => Err(StanzaCondition::Forbidden.into()),
        }
    }

    /// What a new subscription of somebody begins as (XEP-0060 §6.1).
    ///
    /// # Errors
    /// As [`Node::may_read`]; `not-allowed` where nobody may.
    pub fn admit(&self, standing: &Standing) -> Result<State, StanzaError> {
        if standing.affiliation == Affiliation::Owner {
            return Ok(State::Subscribed);
        }
        if !self.config.subscribe {
            return Err(StanzaCondition::NotAllowed.into());
        }
        match self.may_read(standing) {
            Ok(()) => Ok(State::Subscribed),
            Err(_)
                if self.config.access == Access::Authorize
                    && !matches!(standing.affiliation, Affiliation::Outcast | Affiliation::PublishOnly) =>
            {
                Ok(State::Pending)
            }
            Err(error) => Err(error),
        }
    }
}

/// The account that a stored address is of.
fn bare(jid: &str) -> &str {
    jid.split_once('/').map_or(jid, |(bare, _)| bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(name: &str) -> BareJid {
        BareJid::new(&format!("{name}@corp.example")).unwrap()
    }

    fn node(access: Access) -> Node {
        Node::new(Config { access, groups: vec!["Friends".into()], ..Config::default() })
    }

    fn standing(affiliation: Affiliation, sees: bool, group: Option<&str>, subscribed: bool) -> Standing {
        Standing { affiliation, sees, groups: group.into_iter().map(str::to_owned).collect(), subscribed }
    }

    #[test]
    fn each_access_model_lets_in_whom_it_names() {
        use Affiliation::{Member, None as Nobody, Outcast, Owner, PublishOnly, Publisher};
        let stranger = standing(Nobody, false, None, false);
        let contact = standing(Nobody, true, Some("Work"), false);
        let friend = standing(Nobody, true, Some("Friends"), false);
        let subscriber = standing(Nobody, false, None, true);
        let reads = |access, standing: &Standing| node(access).may_read(standing).is_ok();
        assert_eq!([&stranger, &contact, &friend].map(|who| reads(Access::Open, who)), [true, true, true]);
        assert_eq!(
            [&stranger, &contact, &friend].map(|who| reads(Access::Presence, who)),
            [false, true, true]
        );
        assert_eq!(
            [&stranger, &contact, &friend].map(|who| reads(Access::Roster, who)),
            [false, false, true]
        );
        assert_eq!(
            [&stranger, &contact, &subscriber].map(|who| reads(Access::Authorize, who)),
            [false, false, true]
        );
        assert_eq!(
            [&stranger, &contact, &subscriber].map(|who| reads(Access::Whitelist, who)),
            [false, false, false]
        );
        for access in [Access::Open, Access::Presence, Access::Roster, Access::Authorize, Access::Whitelist] {
            assert!(reads(access, &standing(Owner, false, None, false)));
            assert!(!reads(access, &standing(Outcast, true, Some("Friends"), true)));
            assert!(!reads(access, &standing(PublishOnly, true, Some("Friends"), true)));
        }
        assert!(reads(Access::Whitelist, &standing(Member, false, None, false)));
        assert!(reads(Access::Whitelist, &standing(Publisher, false, None, false)));
    }

    #[test]
    fn a_node_is_private_only_while_nobody_else_can_read_or_write_it() {
        let owner = jid("romeo");
        assert!(!node(Access::Presence).is_private(&owner));
        let mut node = node(Access::Whitelist);
        assert!(node.is_private(&owner));
        node.affiliations.insert(jid("nurse").to_string(), Affiliation::Outcast);
        assert!(node.is_private(&owner));
        node.affiliations.insert(jid("nurse").to_string(), Affiliation::PublishOnly);
        assert!(!node.is_private(&owner), "what she writes he reads");
        node.affiliations.clear();
        node.config.publishers = Publishers::Open;
        assert!(!node.is_private(&owner));
    }

    #[test]
    fn an_account_is_subscribed_by_any_of_its_addresses_and_by_no_others() {
        let mut node = node(Access::Open);
        let subscription = Subscription { state: State::Subscribed, id: "1".into() };
        node.subscriptions.insert("nurse@corp.example/home".into(), subscription.clone());
        assert!(node.is_subscribed(&jid("nurse")));
        assert!(!node.is_subscribed(&BareJid::new("nurse@corp.exampl").unwrap()));
        assert!(!node.is_subscribed(&jid("nurs")));
    }
}
