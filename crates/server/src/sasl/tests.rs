//! Whole exchanges, with a client written from the standards for these tests.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jid::DomainPart;
use proptest::prelude::*;

use super::fast::{Candidate, Device, LIFETIME_SECONDS, Secret, TokenUse};
use super::*;

const EXPORTED: [u8; 32] = [7; 32];
const END_POINT: [u8; 32] = [9; 32];
const ITERATIONS: u32 = 4;

fn domain() -> DomainPart {
    DomainPart::new("corp.example").unwrap().into_owned()
}

fn tls() -> Offer {
    Offer::new(Channel::Encrypted, ChannelBindings::new(Some(EXPORTED.to_vec()), Some(END_POINT.to_vec())))
}

fn context(offer: Offer) -> Context {
    Context {
        domain: domain(),
        offer: Arc::new(offer),
        decoy: Decoy::new([3; 32], ITERATIONS),
        nonce: "ours".to_owned(),
        fast: None,
    }
}

fn keys(hash: Hash, password: &str) -> Credentials {
    let keys = ScramKeys::derive(hash, &prepare_password(password).unwrap(), b"0123456789abcdef", ITERATIONS);
    Credentials::Keys { keys: Arc::new(keys), disabled: false }
}

fn disabled(credentials: Credentials) -> Credentials {
    match credentials {
        Credentials::Keys { keys, .. } => Credentials::Keys { keys, disabled: true },
        Credentials::Tokens { tokens, .. } => Credentials::Tokens { tokens, disabled: true },
    }
}

/// The client's side of SCRAM.
struct Client {
    hash: Hash,
    header: &'static str,
    binding: &'static [u8],
    name: &'static str,
    password: &'static str,
}

impl Client {
    fn new(name: &'static str, password: &'static str) -> Self {
        Self { hash: Hash::Sha256, header: "n,,", binding: b"", name, password }
    }

    fn bare(&self) -> String {
        format!("n={},r=theirs", self.name)
    }

    fn first(&self) -> Vec<u8> {
        format!("{}{}", self.header, self.bare()).into_bytes()
    }

    /// Answers a challenge; gives the message and the `v=` to expect.
    fn last(&self, challenge: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let challenge = std::str::from_utf8(challenge).unwrap();
        let nonce = challenge.split(',').find_map(|part| part.strip_prefix("r=")).unwrap();
        self.last_with_nonce(challenge, nonce)
    }

    fn last_with_nonce(&self, challenge: &str, nonce: &str) -> (Vec<u8>, Vec<u8>) {
        let field = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
        let (salt, iterations) = (STANDARD.decode(field("s=")).unwrap(), field("i="));
        let mut salted = vec![0; self.hash.length()];
        let rounds = iterations.parse().unwrap();
        match self.hash {
            Hash::Sha1 => {
                pbkdf2::pbkdf2_hmac::<sha1::Sha1>(self.password.as_bytes(), &salt, rounds, &mut salted)
            }
            Hash::Sha256 => {
                pbkdf2::pbkdf2_hmac::<sha2::Sha256>(self.password.as_bytes(), &salt, rounds, &mut salted)
            }
        }
        let client = self.hash.hmac(&salted, &[b"Client Key"]);
        let channel = STANDARD.encode([self.header.as_bytes(), self.binding].concat());
        let without_proof = format!("c={channel},r={nonce}");
        let auth = format!("{},{challenge},{without_proof}", self.bare());
        let signature = self.hash.hmac(&self.hash.digest(&client), &[auth.as_bytes()]);
        let proof: Vec<u8> = client.iter().zip(signature.iter()).map(|(a, b)| a ^ b).collect();
        let server = self.hash.hmac(&salted, &[b"Server Key"]);
        let verifier = STANDARD.encode(self.hash.hmac(&server, &[auth.as_bytes()]));
        (
            format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes(),
            format!("v={verifier}").into_bytes(),
        )
    }

    /// Runs the whole exchange; checks the server's proof on success.
    fn sign_in(
        &self,
        mechanism: Mechanism,
        offer: Offer,
        credentials: Option<Credentials>,
    ) -> Result<Success, SaslFailure> {
        let mut exchange = Exchange::start(mechanism, context(offer));
        match exchange.step(Some(&self.first())) {
            Step::Lookup(lookup) => assert_eq!(lookup.wants, Wants::Keys(self.hash)),
            step => return Err(failure(step)),
        }
        let Step::Challenge(challenge) = exchange.resume(credentials) else { panic!("no challenge") };
        let (last, verifier) = self.last(&challenge);
        match exchange.step(Some(&last)) {
            Step::Success(success) => {
                assert_eq!(success.data, verifier);
                Ok(success)
            }
            step => Err(failure(step)),
        }
    }
}

fn failure(step: Step) -> SaslFailure {
    match step {
        Step::Failure(failure) => failure,
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn each_scram_mechanism_signs_in_and_proves_the_server() {
    let base = Client::new("romeo", "wherefore");
    let plus: Client =
        Client { header: "p=tls-exporter,,", binding: &EXPORTED, ..Client::new("romeo", "wherefore") };
    let end_point = Client {
        header: "p=tls-server-end-point,,",
        binding: &END_POINT,
        ..Client::new("romeo", "wherefore")
    };
    for (mechanism, client) in [
        (Mechanism::ScramSha256, base),
        (Mechanism::ScramSha256Plus, plus),
        (Mechanism::ScramSha256Plus, end_point),
        (Mechanism::ScramSha1, Client { hash: Hash::Sha1, ..Client::new("romeo", "wherefore") }),
        (
            Mechanism::ScramSha1Plus,
            Client {
                hash: Hash::Sha1,
                header: "p=tls-exporter,,",
                binding: &EXPORTED,
                ..Client::new("romeo", "wherefore")
            },
        ),
    ] {
        let success = client.sign_in(mechanism, tls(), Some(keys(client.hash, "wherefore"))).unwrap();
        assert_eq!(success.user.as_str(), "romeo@corp.example");
        assert_eq!(success.token, None);
    }
}

#[test]
fn a_wrong_password_fails_at_the_proof() {
    let client = Client::new("romeo", "whatever");
    let result = client.sign_in(Mechanism::ScramSha256, tls(), Some(keys(Hash::Sha256, "wherefore")));
    assert_eq!(result, Err(SaslFailure::NotAuthorized));
}

#[test]
fn names_and_passwords_are_prepared_before_they_are_compared() {
    // The client types a wide "R" and a soft hyphen; the password has a no-break space.
    let client = Client::new("\u{ff32}o\u{ad}meo", "a b");
    let success =
        client.sign_in(Mechanism::ScramSha256, tls(), Some(keys(Hash::Sha256, "a\u{a0}b"))).unwrap();
    assert_eq!(success.user.as_str(), "romeo@corp.example");
}

#[test]
fn a_whole_address_of_this_domain_names_an_account_and_one_of_another_does_not() {
    let ours = Client::new("romeo@Corp.Example", "wherefore");
    let credentials = || Some(keys(Hash::Sha256, "wherefore"));
    assert_eq!(
        ours.sign_in(Mechanism::ScramSha256, tls(), credentials()).unwrap().user.as_str(),
        "romeo@corp.example"
    );
    let theirs = Client::new("romeo@other.example", "wherefore");
    assert_eq!(theirs.sign_in(Mechanism::ScramSha256, tls(), credentials()), Err(SaslFailure::NotAuthorized));
}

#[test]
fn only_the_accounts_own_address_may_be_the_authorization_identity() {
    let sign_in = |header| {
        let client = Client { header, ..Client::new("romeo", "wherefore") };
        client
            .sign_in(Mechanism::ScramSha256, tls(), Some(keys(Hash::Sha256, "wherefore")))
            .map(|s| s.user.to_string())
    };
    assert_eq!(sign_in("n,a=romeo@corp.example,"), Ok("romeo@corp.example".to_owned()));
    for other in
        ["n,a=juliet@corp.example,", "n,a=romeo@corp.example/orchard,", "n,a=corp.example,", "n,a=@,"]
    {
        assert_eq!(sign_in(other), Err(SaslFailure::InvalidAuthzid), "{other}");
    }
}

#[test]
fn a_client_that_could_have_bound_the_channel_notices_the_removed_offer() {
    let client = || Client { header: "y,,", ..Client::new("romeo", "wherefore") };
    let credentials = || Some(keys(Hash::Sha256, "wherefore"));
    assert_eq!(
        client().sign_in(Mechanism::ScramSha256, tls(), credentials()),
        Err(SaslFailure::NotAuthorized)
    );
    let unbound = Offer::new(Channel::Encrypted, ChannelBindings::default());
    assert!(client().sign_in(Mechanism::ScramSha256, unbound, credentials()).is_ok());
}

#[test]
fn a_channel_that_ends_elsewhere_fails() {
    let client =
        Client { header: "p=tls-exporter,,", binding: &[8; 32], ..Client::new("romeo", "wherefore") };
    let result = client.sign_in(Mechanism::ScramSha256Plus, tls(), Some(keys(Hash::Sha256, "wherefore")));
    assert_eq!(result, Err(SaslFailure::NotAuthorized));
    // Nor may the header of the last message differ from the first one's.
    let client = Client { header: "n,,", binding: &EXPORTED, ..Client::new("romeo", "wherefore") };
    let result = client.sign_in(Mechanism::ScramSha256, tls(), Some(keys(Hash::Sha256, "wherefore")));
    assert_eq!(result, Err(SaslFailure::NotAuthorized));
}

#[test]
fn a_changed_downgrade_hash_fails_the_exchange() {
    let client = Client::new("romeo", "wherefore");
    let mut exchange = Exchange::start(Mechanism::ScramSha256, context(tls()));
    exchange.step(Some(&client.first()));
    let Step::Challenge(challenge) = exchange.resume(Some(keys(Hash::Sha256, "wherefore"))) else { panic!() };
    let challenge = String::from_utf8(challenge).unwrap();
    let (start, hash) = challenge.rsplit_once(",h=").unwrap();
    // Somebody shortened the list of mechanisms and the hash of it accordingly.
    let forged = Offer::new(Channel::Encrypted, ChannelBindings::default()).digest(Hash::Sha256);
    assert_ne!(hash, forged);
    let (last, _) = client.last(format!("{start},h={forged}").as_bytes());
    assert_eq!(failure(exchange.step(Some(&last))), SaslFailure::NotAuthorized);
}

#[test]
fn an_unknown_account_looks_like_a_known_one_until_the_proof() {
    let challenge = |name: &'static str, credentials: Option<Credentials>| {
        let client = Client::new(name, "guess");
        let mut exchange = Exchange::start(Mechanism::ScramSha256, context(tls()));
        exchange.step(Some(&client.first()));
        let Step::Challenge(challenge) = exchange.resume(credentials) else { panic!("no challenge") };
        let last = exchange.step(Some(&client.last(&challenge).0));
        assert_eq!(failure(last), SaslFailure::NotAuthorized);
        String::from_utf8(challenge).unwrap()
    };
    let known = challenge("romeo", Some(keys(Hash::Sha256, "wherefore")));
    let unknown = challenge("tybalt", None);
    let shape =
        |text: &str| text.split(',').map(|part| (part[..2].to_owned(), part.len())).collect::<Vec<_>>();
    assert_eq!(shape(&known), shape(&unknown));
    assert_eq!(known.split(',').next_back(), unknown.split(',').next_back());
    assert_eq!(unknown, challenge("tybalt", None), "the made up salt is the same each time");
    assert_ne!(unknown, challenge("mercutio", None), "each account has its own");
}

#[test]
fn keys_of_another_hash_check_nothing() {
    // A client that speaks SHA-1 to SCRAM-SHA-256 would prove the weaker keys.
    let client = Client { hash: Hash::Sha1, ..Client::new("romeo", "wherefore") };
    let mut exchange = Exchange::start(Mechanism::ScramSha256, context(tls()));
    exchange.step(Some(&client.first()));
    let Step::Challenge(challenge) = exchange.resume(Some(keys(Hash::Sha1, "wherefore"))) else { panic!() };
    assert_eq!(failure(exchange.step(Some(&client.last(&challenge).0))), SaslFailure::NotAuthorized);
}

#[test]
fn each_hash_has_its_own_made_up_salt() {
    let decoy = Decoy::new([3; 32], ITERATIONS);
    let user = jid::BareJid::new("tybalt@corp.example").unwrap();
    assert_ne!(decoy.keys(Hash::Sha1, &user).salt(), decoy.keys(Hash::Sha256, &user).salt());
}

#[test]
fn a_proof_over_another_nonce_fails() {
    let client = Client::new("romeo", "wherefore");
    let mut exchange = Exchange::start(Mechanism::ScramSha256, context(tls()));
    exchange.step(Some(&client.first()));
    let Step::Challenge(challenge) = exchange.resume(Some(keys(Hash::Sha256, "wherefore"))) else { panic!() };
    let challenge = String::from_utf8(challenge).unwrap();
    let (last, _) = client.last_with_nonce(&challenge, "theirsmine");
    assert_eq!(failure(exchange.step(Some(&last))), SaslFailure::NotAuthorized);
}

#[test]
fn a_disabled_account_hears_so_only_with_the_right_password() {
    let sign_in = |password| {
        Client::new("romeo", password).sign_in(
            Mechanism::ScramSha256,
            tls(),
            Some(disabled(keys(Hash::Sha256, "wherefore"))),
        )
    };
    assert_eq!(sign_in("wherefore"), Err(SaslFailure::AccountDisabled));
    assert_eq!(sign_in("guess"), Err(SaslFailure::NotAuthorized));
}

fn plain(message: &[u8], credentials: Option<Credentials>) -> Result<Success, SaslFailure> {
    let mut exchange = Exchange::start(Mechanism::Plain, context(tls()));
    match exchange.step(Some(message)) {
        Step::Lookup(lookup) => assert_eq!(lookup.wants, Wants::Password),
        step => return Err(failure(step)),
    }
    match exchange.resume(credentials) {
        Step::Success(success) => Ok(success),
        step => Err(failure(step)),
    }
}

#[test]
fn plain_checks_the_password_against_the_stored_keys() {
    let known = || Some(keys(Hash::Sha256, "wherefore"));
    assert_eq!(plain(b"\0romeo\0wherefore", known()).unwrap().user.as_str(), "romeo@corp.example");
    assert!(plain(b"romeo@corp.example\0romeo\0wherefore", known()).is_ok());
    assert!(plain(b"\0romeo\0wherefore", Some(keys(Hash::Sha1, "wherefore"))).is_ok());
    assert_eq!(plain(b"\0romeo\0guess", known()), Err(SaslFailure::NotAuthorized));
    assert_eq!(plain(b"\0romeo\0wherefore", None), Err(SaslFailure::NotAuthorized));
    assert_eq!(plain(b"\0romeo\0wherefore", known().map(disabled)), Err(SaslFailure::AccountDisabled));
    assert_eq!(plain(b"\0romeo\0guess", known().map(disabled)), Err(SaslFailure::NotAuthorized));
    assert_eq!(plain(b"juliet@corp.example\0romeo\0wherefore", known()), Err(SaslFailure::InvalidAuthzid));
    for wrong in
        [&b""[..], b"romeo", b"\0romeo", b"\0romeo\0", b"\0\0wherefore", b"\0a\0b\0c", b"\0\xff\0wherefore"]
    {
        assert_eq!(plain(wrong, known()), Err(SaslFailure::MalformedRequest), "{wrong:?}");
    }
}

#[test]
fn a_missing_first_message_is_asked_for_once() {
    let mut exchange = Exchange::start(Mechanism::Plain, context(tls()));
    assert!(matches!(exchange.step(None), Step::Challenge(empty) if empty.is_empty()));
    assert!(matches!(exchange.step(Some(b"\0romeo\0wherefore")), Step::Lookup(_)));
    let mut exchange = Exchange::start(Mechanism::Plain, context(tls()));
    exchange.step(None);
    assert_eq!(failure(exchange.step(None)), SaslFailure::MalformedRequest);
}

#[test]
fn nothing_follows_the_end_of_an_exchange() {
    let mut exchange = Exchange::start(Mechanism::Plain, context(tls()));
    exchange.step(Some(b"\0romeo\0wherefore"));
    assert!(matches!(exchange.resume(Some(keys(Hash::Sha256, "wherefore"))), Step::Success(_)));
    assert_eq!(failure(exchange.resume(None)), SaslFailure::MalformedRequest);
    assert_eq!(failure(exchange.step(Some(b"\0romeo\0wherefore"))), SaslFailure::MalformedRequest);
}

fn candidate(serial: u8, mechanism: Mechanism, secret: &str) -> Candidate {
    Candidate { serial: vec![serial], mechanism, secret: Secret::new(secret.to_owned()) }
}

fn token_message(secret: &str, binding: &[u8]) -> Vec<u8> {
    let proof = Hash::Sha256.hmac(secret.as_bytes(), &[b"Initiator", binding]);
    [b"romeo\0", &proof[..]].concat()
}

fn fast(
    mechanism: Mechanism,
    message: &[u8],
    tokens: Option<Vec<Candidate>>,
) -> Result<Success, SaslFailure> {
    let mut context = context(tls());
    context.fast = Some(FastRequest { client: "phone".to_owned(), count: Some(4), invalidate: false });
    let mut exchange = Exchange::start(mechanism, context);
    match exchange.step(Some(message)) {
        Step::Lookup(lookup) => assert_eq!(lookup.wants, Wants::Tokens { client: "phone".to_owned() }),
        step => return Err(failure(step)),
    }
    match exchange.resume(tokens.map(|tokens| Credentials::Tokens { tokens, disabled: false })) {
        Step::Success(success) => Ok(success),
        step => Err(failure(step)),
    }
}

#[test]
fn each_fast_mechanism_accepts_its_own_token_and_proves_the_server() {
    for (mechanism, binding) in [
        (Mechanism::HtSha256None, &b""[..]),
        (Mechanism::HtSha256Expr, &EXPORTED),
        (Mechanism::HtSha256Endp, &END_POINT),
    ] {
        let tokens = vec![candidate(1, mechanism, "other"), candidate(2, mechanism, "token")];
        let success = fast(mechanism, &token_message("token", binding), Some(tokens)).unwrap();
        assert_eq!(success.user.as_str(), "romeo@corp.example");
        assert_eq!(success.data, Hash::Sha256.hmac(b"token", &[b"Responder", binding]).to_vec());
        let used =
            TokenUse { client: "phone".to_owned(), serial: vec![2], count: Some(4), invalidate: false };
        assert_eq!(success.token, Some(used));
    }
}

#[test]
fn a_token_serves_only_the_mechanism_it_was_asked_for() {
    let tokens = vec![candidate(1, Mechanism::HtSha256Expr, "token")];
    let result = fast(Mechanism::HtSha256None, &token_message("token", b""), Some(tokens));
    assert_eq!(result, Err(SaslFailure::NotAuthorized));
}

#[test]
fn tokens_that_are_wrong_unknown_or_bound_elsewhere_fail_alike() {
    let known = || Some(vec![candidate(1, Mechanism::HtSha256Expr, "token")]);
    let mechanism = Mechanism::HtSha256Expr;
    for (message, tokens) in [
        (token_message("guess", &EXPORTED), known()),
        (token_message("token", &[8; 32]), known()),
        (token_message("token", b""), known()),
        (token_message("token", &EXPORTED), None),
        (token_message("token", &EXPORTED), Some(Vec::new())),
        // The key that stands in for an empty slot is no token.
        (token_message("", &EXPORTED), known()),
    ] {
        assert_eq!(fast(mechanism, &message, tokens), Err(SaslFailure::NotAuthorized));
    }
    for wrong in [&b""[..], b"romeo", b"romeo\0short", b"\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert_eq!(fast(mechanism, wrong, known()), Err(SaslFailure::MalformedRequest));
    }
}

#[test]
fn fast_needs_its_request() {
    let mut exchange = Exchange::start(Mechanism::HtSha256None, context(tls()));
    assert_eq!(failure(exchange.step(Some(&token_message("token", b"")))), SaslFailure::MalformedRequest);
}

#[test]
fn a_replayed_count_is_refused() {
    let mut device = Device::new("phone".to_owned());
    device.issue(Mechanism::HtSha256None, vec![1], 1000);
    let mut redeem = |count| {
        device
            .redeem(&TokenUse { client: "phone".to_owned(), serial: vec![1], count, invalidate: false }, 1001)
    };
    let accepted = Ok(fast::Redeemed { rotate: Some(Mechanism::HtSha256None) });
    assert_eq!(redeem(None), accepted);
    assert_eq!(redeem(Some(3)), accepted);
    assert_eq!(redeem(Some(3)), Err(SaslFailure::NotAuthorized));
    assert_eq!(redeem(Some(2)), Err(SaslFailure::NotAuthorized));
    assert_eq!(redeem(None), Err(SaslFailure::NotAuthorized));
    assert_eq!(redeem(Some(4)), accepted);
}

#[test]
fn a_new_token_ends_the_old_one_only_when_it_is_used() {
    let used = |serial| TokenUse {
        client: "phone".to_owned(),
        serial: vec![serial],
        count: None,
        invalidate: false,
    };
    let mut device = Device::new("phone".to_owned());
    device.issue(Mechanism::HtSha256None, vec![1], 0);
    device.redeem(&used(1), 1).unwrap();
    device.issue(Mechanism::HtSha256None, vec![2], 1);
    device.redeem(&used(1), 2).unwrap();
    // The second token got lost on its way: the third one takes its place.
    device.issue(Mechanism::HtSha256None, vec![3], 2);
    assert_eq!(device.redeem(&used(2), 3), Err(SaslFailure::NotAuthorized));
    device.redeem(&used(3), 3).unwrap();
    assert_eq!(device.redeem(&used(1), 4), Err(SaslFailure::NotAuthorized));
    device.redeem(&used(3), 4).unwrap();
}

#[test]
fn tokens_expire_and_can_be_given_up() {
    let mut device = Device::new("phone".to_owned());
    let used = TokenUse { client: "phone".to_owned(), serial: vec![1], count: None, invalidate: false };
    device.issue(Mechanism::HtSha256None, vec![1], 0);
    device.redeem(&used, LIFETIME_SECONDS - 1).unwrap();
    assert!(!device.is_spent(LIFETIME_SECONDS - 1) && device.is_spent(LIFETIME_SECONDS));
    assert_eq!(device.redeem(&used, LIFETIME_SECONDS), Err(SaslFailure::CredentialsExpired));
    assert_eq!(device.redeem(&used, 1), Err(SaslFailure::NotAuthorized));

    device.issue(Mechanism::HtSha256None, vec![1], 0);
    let goodbye = TokenUse { invalidate: true, ..used.clone() };
    assert_eq!(device.redeem(&goodbye, 1), Ok(fast::Redeemed { rotate: None }));
    assert_eq!(device.redeem(&used, 2), Err(SaslFailure::NotAuthorized));
}

#[test]
fn a_stream_offers_what_its_channel_allows() {
    let names = |offer: &Offer| {
        (
            offer.mechanisms().iter().map(|m| m.name()).collect::<Vec<_>>(),
            offer.fast().iter().map(|m| m.name()).collect::<Vec<_>>(),
        )
    };
    let (sasl, fast) = names(&tls());
    assert_eq!(sasl, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"]);
    assert_eq!(fast, ["HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"]);
    let unbound = Offer::new(Channel::Encrypted, ChannelBindings::default());
    assert_eq!(names(&unbound), (vec!["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"], vec!["HT-SHA-256-NONE"]));
    let naked = Offer::new(Channel::Insecure, ChannelBindings::default());
    assert_eq!(names(&naked), (vec![], vec![]));

    assert_eq!(tls().select("SCRAM-SHA-256-PLUS", false), Ok(Mechanism::ScramSha256Plus));
    assert_eq!(tls().select("HT-SHA-256-NONE", true), Ok(Mechanism::HtSha256None));
    assert_eq!(tls().select("HT-SHA-256-NONE", false), Err(SaslFailure::InvalidMechanism));
    assert_eq!(tls().select("PLAIN", true), Err(SaslFailure::InvalidMechanism));
    assert_eq!(tls().select("ANONYMOUS", false), Err(SaslFailure::InvalidMechanism));
    assert_eq!(unbound.select("SCRAM-SHA-256-PLUS", false), Err(SaslFailure::InvalidMechanism));
    assert_eq!(naked.select("PLAIN", false), Err(SaslFailure::EncryptionRequired));
}

#[test]
fn the_end_point_of_a_certificate_is_its_hash() {
    use sha2::{Digest, Sha256};
    let certified = rcgen::generate_simple_self_signed(["corp.example".to_owned()]).unwrap();
    let der = certified.cert.der();
    assert_eq!(ChannelBindings::end_point_of(der), Some(Sha256::digest(der).to_vec()));
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate =
        rcgen::CertificateParams::new(["corp.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    assert_eq!(ChannelBindings::end_point_of(certificate.der()), None);
    assert_eq!(ChannelBindings::end_point_of(b"not a certificate"), None);
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let Credentials::Keys { keys, .. } = keys(Hash::Sha256, "wherefore") else { panic!() };
    let shown = format!("{keys:?} {:?} {:?}", Secret::new("hush".to_owned()), tls().bindings());
    assert!(!shown.contains("hush") && !shown.contains("stored") && !shown.contains('7'), "{shown}");
}

#[test]
fn base64_is_strict() {
    assert_eq!(decode(""), Ok(None));
    assert_eq!(decode(" \n"), Ok(None));
    assert_eq!(decode("="), Ok(Some(Vec::new())));
    assert_eq!(decode("AHJvbWVv"), Ok(Some(b"\0romeo".to_vec())));
    for wrong in ["A", "AHJv=", "====", "AH Jv", "AHJv-_"] {
        assert_eq!(decode(wrong), Err(SaslFailure::IncorrectEncoding), "{wrong}");
    }
}

#[test]
fn passwords_are_prepared_and_bounded() {
    assert_eq!(prepare_password("I\u{ad}X").unwrap().as_str(), "IX");
    assert_eq!(prepare_password("\u{2168}").unwrap().as_str(), "IX");
    assert_eq!(prepare_password(""), Err(PasswordError::Empty));
    assert_eq!(prepare_password("\u{ad}"), Err(PasswordError::Empty));
    assert_eq!(prepare_password("bell\u{7}"), Err(PasswordError::Prohibited));
    assert_eq!(prepare_password(&"a".repeat(MAX_PASSWORD_BYTES + 1)), Err(PasswordError::TooLong));
    assert_eq!(prepare_password(&"a".repeat(1 << 20)), Err(PasswordError::TooLong));
}

/// Messages that are nearly right, so that the walk gets past the first check.
fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        "[nyp]=?[a-z-]{0,12},(a=)?[a-z@=,]{0,9},n=[a-z=2C3D]{0,9},r=[!-~]{0,20}(,[a-z]=.{0,4})?"
            .prop_map(String::into_bytes),
        "c=[A-Za-z0-9+/=]{0,16},r=[!-~]{0,20}(,[a-z]=.{0,4})?,p=[A-Za-z0-9+/=]{0,44}"
            .prop_map(String::into_bytes),
        "(.{0,8}\0){0,3}.{0,8}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 32).prop_map(|proof| [b"romeo\0", &proof[..]].concat()),
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic_or_sign_in(
        mechanism in proptest::sample::select(&Mechanism::ALL[..]),
        messages in proptest::collection::vec(proptest::option::weighted(0.9, message()), 1..4),
        known in any::<bool>(),
    ) {
        let mut context = context(tls());
        context.fast = Some(FastRequest { client: "phone".to_owned(), count: None, invalidate: false });
        let mut exchange = Exchange::start(mechanism, context);
        for message in messages {
            let mut step = exchange.step(message.as_deref());
            while let Step::Lookup(lookup) = step {
                step = exchange.resume(known.then(|| match lookup.wants {
                    Wants::Keys(hash) => keys(hash, "not guessed"),
                    Wants::Password => keys(Hash::Sha256, "not guessed"),
                    Wants::Tokens { .. } => {
                        let tokens = vec![candidate(1, mechanism, "not guessed")];
                        Credentials::Tokens { tokens, disabled: false }
                    }
                }));
            }
            prop_assert!(!matches!(step, Step::Success(_)));
        }
    }
}
