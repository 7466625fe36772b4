//! Accounts and sign-in over a vault of their own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jid::{BareJid, DomainPart};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use vault::{MasterKey, Vault};

use super::*;
use crate::sasl::{Channel, ChannelBindings, Mechanism, Offer, SaslFailure};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Cheap hashing: these tests are about everything else.
const OPTIONS: Options = Options { iterations: 4, cached: 100 };

struct House {
    _folder: TempDir,
    vault: Vault,
    users: Users,
    door: SignIn,
    offer: Arc<Offer>,
}

impl House {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let vault = Vault::open(folder.path(), MasterKey::generate().unwrap()).await.unwrap();
        let users = Users::new(vault.clone(), OPTIONS);
        let door = SignIn::new(users.clone(), Arc::new(SignInLimit::new(None)));
        let offer = Arc::new(Offer::new(Channel::Encrypted, ChannelBindings::default()));
        Self { _folder: folder, vault, users, door, offer }
    }

    async fn with_romeo() -> Self {
        let house = Self::new().await;
        house.users.create(&romeo(), NewAccount::new("wherefore")).await.unwrap();
        house
    }

    fn request(&self, mechanism: Mechanism) -> Request {
        let mut request = Request::new(mechanism.name(), domain(), PEER);
        request.client = Some("phone".to_owned());
        request
    }

    async fn plain(&self, name: &str, password: &str) -> Result<SignedIn, SaslFailure> {
        let mut attempt = self.door.begin(self.request(Mechanism::Plain), &self.offer)?;
        done(self.door.step(&mut attempt, Some(format!("\0{name}\0{password}").as_bytes())).await)
    }

    /// Signs in by SCRAM-SHA-256; gives the challenge too.
    async fn scram(&self, name: &str, password: &str) -> (String, Result<SignedIn, SaslFailure>) {
        self.scram_with(self.request(Mechanism::ScramSha256), name, password).await
    }

    async fn scram_with(
        &self,
        request: Request,
        name: &str,
        password: &str,
    ) -> (String, Result<SignedIn, SaslFailure>) {
        let mut attempt = self.door.begin(request, &self.offer).unwrap();
        let bare = format!("n={name},r=theirs");
        let first = format!("n,,{bare}");
        let Answer::Challenge(challenge) = self.door.step(&mut attempt, Some(first.as_bytes())).await else {
            panic!("no challenge")
        };
        let challenge = String::from_utf8(challenge).unwrap();
        let last = prove(&bare, &challenge, password);
        let result = done(self.door.step(&mut attempt, Some(last.as_bytes())).await);
        (challenge, result)
    }

    /// Signs in by token.
    async fn fast(&self, secret: &str, fast: Fast) -> Result<SignedIn, SaslFailure> {
        let mut request = self.request(Mechanism::HtSha256None);
        request.fast = Some(fast);
        let mut attempt = self.door.begin(request, &self.offer)?;
        let message = [b"romeo\0", &hmac(secret.as_bytes(), b"Initiator")[..]].concat();
        done(self.door.step(&mut attempt, Some(&message)).await)
    }

    /// Signs in by password and asks for a token.
    async fn token(&self) -> String {
        let mut request = self.request(Mechanism::ScramSha256);
        request.token = Some("HT-SHA-256-NONE".to_owned());
        let signed_in = self.scram_with(request, "romeo", "wherefore").await.1.unwrap();
        signed_in.token.unwrap().secret.reveal().to_owned()
    }
}

fn domain() -> DomainPart {
    DomainPart::new("corp.example").unwrap().into_owned()
}

fn romeo() -> BareJid {
    BareJid::new("romeo@corp.example").unwrap()
}

fn done(answer: Answer) -> Result<SignedIn, SaslFailure> {
    match answer {
        Answer::SignedIn(signed_in) => Ok(signed_in),
        Answer::Failure(failure) => Err(failure),
        Answer::Challenge(_) => panic!("another challenge"),
    }
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// The client's last message of SCRAM-SHA-256.
fn prove(bare: &str, challenge: &str, password: &str) -> String {
    let field = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
    let mut salted = [0; 32];
    let salt = STANDARD.decode(field("s=")).unwrap();
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, field("i=").parse().unwrap(), &mut salted);
    let client = hmac(&salted, b"Client Key");
    let without_proof = format!("c=biws,r={}", field("r="));
    let signature = hmac(&Sha256::digest(&client), format!("{bare},{challenge},{without_proof}").as_bytes());
    let proof: Vec<u8> = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

#[tokio::test]
async fn an_account_signs_in_with_each_kind_of_mechanism() {
    let house = House::with_romeo().await;
    let signed_in = house.plain("Romeo", "wherefore").await.unwrap();
    assert_eq!((signed_in.user, signed_in.account.roles), (romeo(), Roles::USER));
    assert!(house.scram("romeo", "wherefore").await.1.is_ok());
    assert_eq!(house.plain("romeo", "guess").await.unwrap_err(), SaslFailure::NotAuthorized);
    assert_eq!(house.scram("romeo", "guess").await.1.unwrap_err(), SaslFailure::NotAuthorized);
    assert_eq!(house.plain("tybalt", "wherefore").await.unwrap_err(), SaslFailure::NotAuthorized);
    assert_eq!(house.scram("tybalt", "guess").await.1.unwrap_err(), SaslFailure::NotAuthorized);
}

#[tokio::test]
async fn an_unknown_account_gets_a_challenge_of_the_same_shape_even_after_a_restart() {
    let house = House::with_romeo().await;
    let (known, _) = house.scram("romeo", "guess").await;
    let (unknown, _) = house.scram("tybalt", "guess").await;
    let shape =
        |text: &str| text.split(',').map(|part| (part[..2].to_owned(), part.len())).collect::<Vec<_>>();
    assert_eq!(shape(&known), shape(&unknown));
    let part =
        |text: &str, name: &str| text.split(',').find(|part| part.starts_with(name)).unwrap().to_owned();
    assert_eq!(part(&known, "i="), part(&unknown, "i="));

    let again = Users::new(house.vault.clone(), OPTIONS);
    let house = House { door: SignIn::new(again, Arc::new(SignInLimit::new(None))), ..house };
    let (later, _) = house.scram("tybalt", "guess").await;
    assert_eq!(part(&unknown, "s="), part(&later, "s="));
}

#[tokio::test]
async fn accounts_are_created_once_and_by_proper_names() {
    let house = House::with_romeo().await;
    let again = house.users.create(&romeo(), NewAccount::new("other")).await;
    assert!(matches!(again, Err(UserError::Exists)));
    assert!(house.scram("romeo", "wherefore").await.1.is_ok(), "the password is the first one's");

    // Two at the same moment: one of them wins.
    let tybalt = Users::address("Tybalt", &domain()).unwrap();
    let (one, two) = tokio::join!(
        house.users.create(&tybalt, NewAccount::new("one")),
        house.users.create(&tybalt, NewAccount::new("two")),
    );
    assert!(one.is_ok() != two.is_ok());

    assert_eq!(Users::address("ROMEO", &domain()).unwrap(), romeo());
    for wrong in ["", "a b", "a@b", "a/b", "a\"b", "a&b", "a\u{0}b"] {
        assert!(matches!(Users::address(wrong, &domain()), Err(UserError::BadName)), "{wrong:?}");
    }
    let nobody = BareJid::new("corp.example").unwrap();
    assert!(matches!(house.users.create(&nobody, NewAccount::new("x")).await, Err(UserError::BadName)));
    let benvolio = Users::address("benvolio", &domain()).unwrap();
    let empty = house.users.create(&benvolio, NewAccount::new("")).await;
    assert!(matches!(empty, Err(UserError::Password(_))));
    let named = NewAccount { name: Some("B\u{7}".to_owned()), ..NewAccount::new("x") };
    assert!(matches!(house.users.create(&benvolio, named).await, Err(UserError::BadDisplayName)));
}

#[tokio::test]
async fn changes_last_and_are_seen_at_once() {
    let house = House::with_romeo().await;
    house.users.set_roles(&romeo(), Role::Admin).await.unwrap();
    house.users.set_name(&romeo(), Some(" Romeo Montague ".to_owned())).await.unwrap();
    house.users.set_password(&romeo(), "rose").await.unwrap();
    assert_eq!(house.scram("romeo", "wherefore").await.1.unwrap_err(), SaslFailure::NotAuthorized);
    assert_eq!(house.plain("romeo", "rose").await.unwrap().account.roles, Role::Admin.into());

    let reread = Users::new(house.vault.clone(), OPTIONS).find(&romeo()).await.unwrap().unwrap();
    assert_eq!((reread.roles, reread.name.as_deref()), (Role::Admin.into(), Some("Romeo Montague")));
    let nobody = BareJid::new("nobody@corp.example").unwrap();
    assert!(matches!(house.users.set_roles(&nobody, Role::Admin).await, Err(UserError::Unknown)));
    assert!(matches!(house.users.set_password(&nobody, "x").await, Err(UserError::Unknown)));
    assert!(matches!(house.users.remove(&nobody).await, Err(UserError::Unknown)));
}

#[tokio::test]
async fn an_account_that_was_looked_for_in_vain_can_be_created_and_removed() {
    let house = House::new().await;
    assert!(house.users.find(&romeo()).await.unwrap().is_none());
    house.users.create(&romeo(), NewAccount::new("wherefore")).await.unwrap();
    assert!(house.users.find(&romeo()).await.unwrap().is_some());
    house.users.remove(&romeo()).await.unwrap();
    assert!(house.users.find(&romeo()).await.unwrap().is_none());
    assert_eq!(house.scram("romeo", "wherefore").await.1.unwrap_err(), SaslFailure::NotAuthorized);
}

#[tokio::test]
async fn each_domain_has_its_own_accounts() {
    let house = House::with_romeo().await;
    let elsewhere = BareJid::new("romeo@other.example").unwrap();
    assert!(house.users.find(&elsewhere).await.unwrap().is_none());
    house.users.create(&elsewhere, NewAccount::new("mantua")).await.unwrap();
    house.users.create(&Users::address("abram", &domain()).unwrap(), NewAccount::new("x")).await.unwrap();
    let names: Vec<_> = house.users.list(&domain()).await.unwrap().into_iter().map(|a| a.localpart).collect();
    assert_eq!(names, ["abram", "romeo"]);
    let mut request = house.request(Mechanism::ScramSha256);
    request.domain = DomainPart::new("other.example").unwrap().into_owned();
    assert!(house.scram_with(request.clone(), "romeo", "mantua").await.1.is_ok());
    assert!(house.scram_with(request, "romeo", "wherefore").await.1.is_err());
}

#[tokio::test]
async fn many_accounts_are_made_and_each_outcome_is_told_in_order() {
    let house = House::with_romeo().await;
    let people = (0..150).map(|number| {
        let name = if number == 70 { "romeo".to_owned() } else { format!("u{number}") };
        (Users::address(&name, &domain()).unwrap(), NewAccount::new("secret"))
    });
    let mut told = Vec::new();
    house.users.create_many(people, |user, made| told.push((user.to_string(), made.is_ok()))).await;
    assert_eq!(told.len(), 150);
    assert!(told.iter().enumerate().all(|(number, (_, made))| *made == (number != 70)));
    assert_eq!(told[149].0, "u149@corp.example");
    assert!(house.scram("u149", "secret").await.1.is_ok());
}

#[tokio::test]
async fn a_disabled_account_signs_in_with_nothing() {
    let house = House::with_romeo().await;
    let token = house.token().await;
    house.users.set_disabled(&romeo(), true).await.unwrap();
    assert_eq!(house.scram("romeo", "wherefore").await.1.unwrap_err(), SaslFailure::AccountDisabled);
    assert_eq!(house.plain("romeo", "wherefore").await.unwrap_err(), SaslFailure::AccountDisabled);
    assert_eq!(house.plain("romeo", "guess").await.unwrap_err(), SaslFailure::NotAuthorized);
    assert_eq!(house.fast(&token, Fast::default()).await.unwrap_err(), SaslFailure::NotAuthorized);
    house.users.set_disabled(&romeo(), false).await.unwrap();
    assert!(house.scram("romeo", "wherefore").await.1.is_ok());
    let old = house.fast(&token, Fast::default()).await;
    assert_eq!(old.unwrap_err(), SaslFailure::NotAuthorized, "enabling brings no old token back");
}

#[tokio::test]
async fn a_token_signs_in_and_is_followed_by_the_next() {
    let house = House::with_romeo().await;
    let first = house.token().await;
    let signed_in = house.fast(&first, Fast::default()).await.unwrap();
    assert_eq!(signed_in.data, hmac(first.as_bytes(), b"Responder"));
    let second = signed_in.token.unwrap().secret.reveal().to_owned();
    assert_ne!(first, second);
    // The client may not have heard of the second one.
    let third = house.fast(&first, Fast::default()).await.unwrap().token.unwrap().secret.reveal().to_owned();
    assert_eq!(house.fast(&second, Fast::default()).await.unwrap_err(), SaslFailure::NotAuthorized);
    house.fast(&third, Fast::default()).await.unwrap();
    assert_eq!(house.fast(&first, Fast::default()).await.unwrap_err(), SaslFailure::NotAuthorized);
}

#[tokio::test]
async fn a_replayed_token_request_is_refused() {
    let house = House::with_romeo().await;
    let token = house.token().await;
    let counted = |count| Fast { count: Some(count), invalidate: false };
    assert!(house.fast(&token, counted(1)).await.is_ok());
    assert_eq!(house.fast(&token, counted(1)).await.unwrap_err(), SaslFailure::NotAuthorized);
    assert!(house.fast(&token, counted(2)).await.is_ok());
}

#[tokio::test]
async fn replays_at_the_same_moment_succeed_once() {
    let house = House::with_romeo().await;
    let token = house.token().await;
    let counted = || house.fast(&token, Fast { count: Some(1), invalidate: false });
    let results = join_all((0..6).map(|_| counted())).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test]
async fn all_clients_of_an_account_may_come_back_at_once() {
    let house = House::with_romeo().await;
    let generation = house.users.find(&romeo()).await.unwrap().unwrap().generation;
    let issue = async |client: &str| {
        house.users.issue(&romeo(), generation, client, Mechanism::HtSha256None).await.unwrap().unwrap()
    };
    let names: Vec<_> = (0..MAX_CLIENTS).map(|number| format!("client{number}")).collect();
    join_all(names.iter().map(|name| issue(name))).await;
    join_all(names.iter().map(|name| issue(name))).await;
    for name in names {
        assert_eq!(house.users.tokens(&romeo(), generation, &name).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn tokens_end_with_the_password_on_request_and_with_the_account() {
    let house = House::with_romeo().await;
    let token = house.token().await;
    house.users.revoke_tokens(&romeo()).await.unwrap();
    assert!(house.fast(&token, Fast::default()).await.is_err());

    let token = house.token().await;
    house.users.set_password(&romeo(), "wherefore").await.unwrap();
    assert!(house.fast(&token, Fast::default()).await.is_err());

    let token = house.token().await;
    house.fast(&token, Fast { count: None, invalidate: true }).await.unwrap();
    assert!(house.fast(&token, Fast::default()).await.is_err());

    let token = house.token().await;
    house.users.remove(&romeo()).await.unwrap();
    house.users.create(&romeo(), NewAccount::new("wherefore")).await.unwrap();
    assert!(house.fast(&token, Fast::default()).await.is_err());
}

#[tokio::test]
async fn a_token_belongs_to_one_client() {
    let house = House::with_romeo().await;
    let token = house.token().await;
    let mut request = house.request(Mechanism::HtSha256None);
    request.client = Some("laptop".to_owned());
    request.fast = Some(Fast::default());
    let mut attempt = house.door.begin(request, &house.offer).unwrap();
    let message = [b"romeo\0", &hmac(token.as_bytes(), b"Initiator")[..]].concat();
    let result = done(house.door.step(&mut attempt, Some(&message)).await);
    assert_eq!(result.unwrap_err(), SaslFailure::NotAuthorized);
}

#[tokio::test]
async fn the_clients_of_an_account_are_bounded() {
    let house = House::with_romeo().await;
    let generation = house.users.find(&romeo()).await.unwrap().unwrap().generation;
    for number in 0..MAX_CLIENTS + 5 {
        let client = format!("client{number}");
        house.users.issue(&romeo(), generation, &client, Mechanism::HtSha256None).await.unwrap().unwrap();
    }
    let kept = join_all((0..MAX_CLIENTS + 5).map(async |number| {
        house.users.tokens(&romeo(), generation, &format!("client{number}")).await.unwrap().len()
    }));
    assert_eq!(kept.await.iter().sum::<usize>(), MAX_CLIENTS);
}

#[tokio::test]
async fn requests_that_do_not_fit_together_are_refused() {
    let house = House::with_romeo().await;
    let begin = |change: &dyn Fn(&mut Request)| {
        let mut request = house.request(Mechanism::ScramSha256);
        change(&mut request);
        house.door.begin(request, &house.offer).map(|_| ())
    };
    assert_eq!(begin(&|_| ()), Ok(()));
    let malformed = Err(SaslFailure::MalformedRequest);
    let invalid = Err(SaslFailure::InvalidMechanism);
    assert_eq!(begin(&|r| r.client = Some(String::new())), malformed);
    assert_eq!(begin(&|r| r.client = Some("x".repeat(257))), malformed);
    assert_eq!(begin(&|r| (r.client, r.token) = (None, Some("HT-SHA-256-NONE".to_owned()))), malformed);
    assert_eq!(begin(&|r| r.token = Some("PLAIN".to_owned())), invalid);
    assert_eq!(
        begin(&|r| r.token = Some("HT-SHA-256-EXPR".to_owned())),
        invalid,
        "no such binding is on offer"
    );
    assert_eq!(begin(&|r| r.fast = Some(Fast::default())), invalid);
    assert_eq!(begin(&|r| r.mechanism = "HT-SHA-256-NONE".to_owned()), invalid);
}

#[tokio::test]
async fn an_address_that_tries_too_often_is_told_to_wait_whoever_it_tries() {
    let mut house = House::with_romeo().await;
    let limit = SignInLimit::new(std::num::NonZeroU32::new(2));
    house.door = SignIn::new(house.users.clone(), Arc::new(limit));
    assert!(house.plain("romeo", "wherefore").await.is_ok());
    assert!(house.plain("romeo", "wherefore").await.is_ok());
    for name in ["romeo", "tybalt"] {
        assert_eq!(house.plain(name, "wherefore").await.unwrap_err(), SaslFailure::TemporaryAuthFailure);
    }
    house.door.limit().set_per_minute(None);
    assert!(house.plain("romeo", "wherefore").await.is_ok());
}

#[tokio::test]
async fn an_account_under_attack_refuses_even_the_right_password_like_a_wrong_one() {
    let house = House::with_romeo().await;
    for name in ["romeo", "tybalt"] {
        for _ in 0..7 {
            assert_eq!(house.scram(name, "guess").await.1.unwrap_err(), SaslFailure::NotAuthorized);
        }
    }
    let (before, result) = house.scram("romeo", "wherefore").await;
    assert_eq!(result.unwrap_err(), SaslFailure::NotAuthorized);
    assert_eq!(house.plain("romeo", "wherefore").await.unwrap_err(), SaslFailure::NotAuthorized);
    let real = house.users.find(&romeo()).await.unwrap().unwrap();
    let salt = STANDARD.encode(real.keys(Hash::Sha256).salt());
    assert!(before.contains(&format!("s={salt},")), "the challenge is that of every day");
}

#[tokio::test]
async fn a_disabled_account_under_attack_does_not_tell_the_right_password() {
    let house = House::with_romeo().await;
    house.users.set_disabled(&romeo(), true).await.unwrap();
    assert_eq!(house.scram("romeo", "wherefore").await.1.unwrap_err(), SaslFailure::AccountDisabled);
    for _ in 0..7 {
        assert_eq!(house.scram("romeo", "guess").await.1.unwrap_err(), SaslFailure::NotAuthorized);
    }
    assert_eq!(house.scram("romeo", "wherefore").await.1.unwrap_err(), SaslFailure::NotAuthorized);
}

#[tokio::test]
async fn guesses_side_by_side_are_limited_like_guesses_in_a_row() {
    let house = House::with_romeo().await;
    // Everybody gets a challenge before anybody has failed; only the last one knows the password.
    let mut attempts = Vec::new();
    for number in 0..12 {
        let mut attempt = house.door.begin(house.request(Mechanism::ScramSha256), &house.offer).unwrap();
        let Answer::Challenge(challenge) = house.door.step(&mut attempt, Some(b"n,,n=romeo,r=x")).await
        else {
            panic!("no challenge")
        };
        let password = if number == 11 { "wherefore" } else { "guess" };
        let last = prove("n=romeo,r=x", &String::from_utf8(challenge).unwrap(), password);
        attempts.push((attempt, last));
    }
    for (mut attempt, last) in attempts {
        let result = done(house.door.step(&mut attempt, Some(last.as_bytes())).await);
        assert_eq!(result.unwrap_err(), SaslFailure::NotAuthorized);
    }
}

#[tokio::test]
async fn a_token_works_although_the_password_is_under_attack() {
    let house = House::with_romeo().await;
    let token = house.token().await;
    for _ in 0..7 {
        let mut request = house.request(Mechanism::ScramSha256);
        request.peer = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
        assert!(house.scram_with(request, "romeo", "guess").await.1.is_err());
    }
    assert!(house.fast(&token, Fast::default()).await.is_ok());
    assert!(house.scram("romeo", "wherefore").await.1.is_ok(), "nor is a familiar address locked out");
}

#[tokio::test]
async fn what_was_signed_in_does_not_show_secrets() {
    let house = House::with_romeo().await;
    let token = house.token().await;
    let signed_in = house.fast(&token, Fast::default()).await.unwrap();
    let next = signed_in.token.as_ref().unwrap().secret.reveal().to_owned();
    let shown = format!("{signed_in:?}");
    assert!(!shown.contains(&next) && !shown.contains("stored"), "{shown}");
}
