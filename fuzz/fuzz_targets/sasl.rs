//! Sign-in: no bytes of a client make the exchange panic, and none sign it in.
//!
//! The first byte picks the mechanism, the second what the server knows; 0xff, which is in no UTF-8, ends a message.
#![no_main]

use std::sync::{Arc, LazyLock};

use jid::DomainPart;
use libfuzzer_sys::fuzz_target;
use server::sasl::fast::{Candidate, Secret};
use server::sasl::{
    Channel, ChannelBindings, Context, Credentials, Decoy, Exchange, FastRequest, Hash, Mechanism, Offer,
    ScramKeys, Step, Wants,
};

static DOMAIN: LazyLock<DomainPart> =
    LazyLock::new(|| DomainPart::new("corp.example").expect("a domain").into_owned());
static BOUND: LazyLock<Arc<Offer>> = LazyLock::new(|| {
    Arc::new(Offer::new(Channel::Encrypted, ChannelBindings::new(Some(vec![7; 32]), Some(vec![9; 32]))))
});
static UNBOUND: LazyLock<Arc<Offer>> =
    LazyLock::new(|| Arc::new(Offer::new(Channel::Encrypted, ChannelBindings::default())));

fn keys(hash: Hash, disabled: bool) -> Credentials {
    let keys = ScramKeys::derive(hash, "not to be guessed", b"salt", 1);
    Credentials::Keys { keys: Arc::new(keys), disabled }
}

fuzz_target!(|data: &[u8]| {
    let [mechanism, flags, rest @ ..] = data else { return };
    let mechanism = Mechanism::ALL[usize::from(*mechanism) % Mechanism::ALL.len()];
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let offer = if flag(0) { BOUND.clone() } else { UNBOUND.clone() };
    let context = Context {
        domain: DOMAIN.clone(),
        offer,
        decoy: Decoy::new([3; 32], 1),
        nonce: "ours".to_owned(),
        fast: flag(1).then(|| FastRequest { client: "phone".to_owned(), count: None, invalidate: flag(2) }),
    };
    let mut exchange = Exchange::start(mechanism, context);
    let first = flag(3).then_some(None);
    for message in first.into_iter().chain(rest.split(|byte| *byte == 0xff).map(Some)) {
        let mut step = exchange.step(message);
        if let Step::Lookup(lookup) = step {
            step = exchange.resume(flag(4).then(|| match lookup.wants {
                Wants::Keys(hash) => keys(hash, flag(5)),
                Wants::Password => keys(Hash::Sha256, flag(5)),
                Wants::Tokens { .. } => {
                    let secret = Secret::new("not to be guessed".to_owned());
                    let tokens = vec![Candidate { serial: vec![1], mechanism, secret }];
                    Credentials::Tokens { tokens, disabled: flag(5) }
                }
            }));
        }
        match step {
            Step::Challenge(challenge) => assert!(challenge.is_ascii()),
            Step::Lookup(_) => panic!("asked twice"),
            Step::Success(_) => panic!("signed in without a secret"),
            Step::Failure(_) => {}
        }
    }
});
