//! A condition over tokens, and which places of a stretch of the log meet it.

/// A condition over tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// No condition.
    Everything,
    Token(u64),
    All(Vec<Plan>),
    /// Of nothing: nothing meets it.
    Any(Vec<Plan>),
}

impl Plan {
    /// All of these.
    pub(crate) fn all(plans: impl IntoIterator<Item = Plan>) -> Self {
        let mut flat = Vec::new();
        for plan in plans {
            match plan {
                Self::Everything => {}
                Self::All(inner) => flat.extend(inner),
                plan => flat.push(plan),
            }
        }
        match flat.len() {
            0 => Self::Everything,
            1 => flat.remove(0),
            _ => {
                // What costs least to look up first: where that is empty, the rest is not read.
                flat.sort_by_key(Self::size);
                Self::All(flat)
            }
        }
    }

    /// One of these.
    pub(crate) fn any(plans: impl IntoIterator<Item = Plan>) -> Self {
        let mut flat = Vec::new();
        for plan in plans {
            match plan {
                Self::Everything => return Self::Everything,
                Self::Any(inner) => flat.extend(inner),
                plan => flat.push(plan),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::Any(flat) }
    }

    /// Tokens in it.
    fn size(&self) -> usize {
        match self {
            Self::Everything => 0,
            Self::Token(_) => 1,
            Self::All(plans) | Self::Any(plans) => plans.iter().map(Self::size).sum(),
        }
    }

    pub(super) fn tokens(&self, out: &mut Vec<u64>) {
        match self {
            Self::Everything => {}
            Self::Token(token) => out.push(*token),
            Self::All(plans) | Self::Any(plans) => plans.iter().for_each(|plan| plan.tokens(out)),
        }
    }

    /// The places that meet it, ascending, when `list` gives those of a token.
    pub(super) fn places<'a>(&self, list: &impl Fn(u64) -> &'a [u32]) -> Places {
        match self {
            Self::Everything => Places::Every,
            Self::Token(token) => Places::These(list(*token).to_vec()),
            Self::All(plans) => {
                let mut places = Places::Every;
                for plan in plans {
                    places = places.and(plan.places(list));
                    if places.is_empty() {
                        break;
                    }
                }
                places
            }
            Self::Any(plans) => {
                let mut all = Vec::new();
                for plan in plans {
                    match plan.places(list) {
                        Places::Every => return Places::Every,
                        Places::These(places) => all.extend(places),
                    }
                }
                all.sort_unstable();
                all.dedup();
                Places::These(all)
            }
        }
    }
}

/// Places within a stretch of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Places {
    /// The index cannot tell.
    Every,
    /// These, ascending.
    These(Vec<u32>),
}

impl Places {
    pub(super) fn and(self, other: Self) -> Self {
        let (one, other) = match (self, other) {
            (Self::Every, places) | (places, Self::Every) => return places,
            (Self::These(one), Self::These(other)) => (one, other),
        };
        let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
        Self::These(intersect(short, &long))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::These(places) if places.is_empty())
    }
}

/// What ascending lists have in common. Where one is much longer, it is leapt over.
fn intersect(mut short: Vec<u32>, long: &[u32]) -> Vec<u32> {
    let mut from = 0;
    short.retain(|place| {
        let mut step = 1;
        while long.get(from + step).is_some_and(|there| there < place) {
            from += step;
            step *= 2;
        }
        let end = (from + step + 1).min(long.len());
        from += long[from.min(end)..end].partition_point(|there| there < place);
        long.get(from) == Some(place)
    });
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_answered_by_lists() {
        let list = |token: u64| -> &'static [u32] {
            match token {
                1 => &[1, 2, 3, 9],
                2 => &[2, 4, 9, 10],
                _ => &[],
            }
        };
        let (one, two, none) = (Plan::Token(1), Plan::Token(2), Plan::Token(3));
        let both = Plan::all([one.clone(), two.clone(), Plan::Everything]);
        assert_eq!(both.places(&list), Places::These(vec![2, 9]));
        let either = Plan::any([one.clone(), two.clone(), none.clone()]);
        assert_eq!(either.places(&list), Places::These(vec![1, 2, 3, 4, 9, 10]));
        assert_eq!(Plan::all([either, none]).places(&list), Places::These(vec![]));
        assert_eq!(Plan::any([one, Plan::Everything]), Plan::Everything);
        assert_eq!(Plan::all([]).places(&list), Places::Every);
        assert_eq!(Plan::any([]).places(&list), Places::These(vec![]));
    }

    proptest::proptest! {
        #[test]
        fn lists_meet_where_both_have_a_place(one in proptest::collection::btree_set(0u32..400, 0..60),
                                             two in proptest::collection::btree_set(0u32..400, 0..300)) {
            let expected: Vec<u32> = one.intersection(&two).copied().collect();
            let (one, two): (Vec<u32>, Vec<u32>) = (one.into_iter().collect(), two.into_iter().collect());
            assert_eq!(Places::These(one.clone()).and(Places::These(two.clone())), Places::These(expected.clone()));
            assert_eq!(Places::These(two).and(Places::These(one)), Places::These(expected));
        }
    }
}
