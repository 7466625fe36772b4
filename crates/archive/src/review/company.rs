//! What supervision knows of the company: a picture that the caller takes and renews.

use std::collections::{HashMap, HashSet};

use jid::BareJid;
use policy::rules::Moment;
use vault::Micros;

/// Who is one of us, and in which groups.
#[derive(Clone, Debug, Default)]
pub struct Company {
    /// Domains that are ours: of people and of rooms.
    pub domains: HashSet<String>,
    /// People and their groups.
    pub groups: HashMap<BareJid, Vec<String>>,
    /// Minutes that the company's clocks are ahead of UTC.
    pub offset: i32,
}

impl Company {
    /// Whether an address is ours.
    pub fn has(&self, who: &BareJid) -> bool {
        self.domains.contains(who.domain().as_str())
    }

    /// Somebody's groups.
    pub fn groups(&self, who: &BareJid) -> &[String] {
        self.groups.get(who).map_or(&[], Vec::as_slice)
    }

    /// A time where the company is.
    pub(super) fn moment(&self, time: Micros) -> Moment {
        let minutes = time.seconds().div_euclid(60) + i64::from(self.offset);
        // 1970 began on a Thursday.
        let day = (minutes.div_euclid(1440) + 3).rem_euclid(7) as u8;
        Moment { day, minute: minutes.rem_euclid(1440) as u16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_where_the_company_is() {
        // Sunday, 2026-11-22 23:30 UTC.
        let time = Micros(1_795_390_200_000_000);
        let utc = Company::default();
        assert_eq!(utc.moment(time), Moment { day: 6, minute: 1410 });
        let berlin = Company { offset: 60, ..Company::default() };
        assert_eq!(berlin.moment(time), Moment { day: 0, minute: 30 });
    }
}
