//! The office: who may do what with other people's words, and everything that is done there.
//!
//! The HTTP API and the command line are two doors to it. Each operation takes an [`Actor`], whom only authentication
//! makes, asks [`access`] for the right, and puts what it is about to do on the audit chain before it does it. The archive
//! is behind a lock ([`Shelves`]) that opens to a [`Warrant`] or a [`Licence`], and those are made after their entry is
//! durable: an operation that forgets does not compile.
//!
//! A subject (`audit` is the smallest) is
//! - a file here: `impl Office { pub async fn verb(&self, actor: &Actor, …) -> Result<View, Refusal> }`, where the view is
//!   a type with `Serialize` and `ToSchema` that both doors show;
//! - a file in `http/api` with its routes, named in `subjects` there: an extractor for who asks, one for what was sent;
//! - a variant of `admin::Ask`, and a file in the binary's `commands/archive`.

pub mod access;
mod actor;
mod around;
mod audit;
mod docket;
mod emergency;
mod export;
mod factor;
mod keeping;
mod matters;
mod people;
mod refusal;
mod review;
mod search;
mod sessions;
mod sign_in;
mod status;
mod tokens;
mod totp;
mod warrant;

use std::sync::Arc;

use jid::{BareJid, DomainPart, DomainRef};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use vault::Vault;

pub use access::{Right, Rights};
pub use actor::{Actor, Door};
pub use audit::{AuditItem, AuditPage, AuditQuery, MOST as MOST_AUDITED};
pub use docket::{ApprovalView, ChangeView, HoldView, MatterBrief, MatterView};
pub use emergency::{Emergency, all as emergencies};
pub use export::{ExportView, ExportWish, Parcel};
pub(crate) use factor::Factor;
pub use factor::{Enrolment, FactorView};
pub use keeping::{ErasureView, KeptView, LineView, PlanView, PolicyRule, PolicyView};
pub use people::{Newcomer, Person};
pub use refusal::Refusal;
pub(crate) use review::watch as supervise;
pub use review::{
    CauseView, DecisionView, FoundView, MOST_ITEMS, QueueQuery, ReviewDecision, ReviewPage, ReviewView,
    RulesView, Step, Trial,
};
pub use search::{SearchHit, SearchLine, SearchOrder, SearchPage, SearchQuery, SearchedView};
pub use sessions::{NewSession, Session, csrf_token, is_csrf_token};
pub use sign_in::{Credentials, Proven};
pub use status::Status;
pub use tokens::{NewToken, Token};
pub use warrant::{Basis, Entry, Licence, Plea, Warrant};

use self::warrant::Shelves;
use crate::accounts::Accounts;
use crate::config::{Compliance, Config};
use crate::directory::Profile;
use crate::post::{Post, Trail};
use crate::users::{Roles, SignIn, SignInLimit, Users};

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Office(Arc<Inner>);

struct Inner {
    shelves: Shelves,
    vault: Vault,
    users: Users,
    sign_in: SignIn,
    /// How often second factors may be tried. Apart from passwords: the right one must not clear the count.
    codes: SignInLimit,
    domains: Vec<DomainPart>,
    settings: RwLock<Compliance>,
    /// What a running server has beside.
    house: Option<Household>,
    /// One change of what is known of people at a time.
    changes: Mutex<()>,
}

/// What a running server has beside an open folder.
struct Household {
    post: Post,
    accounts: Accounts,
}

/// What a running server has and an open folder has not.
pub struct Running {
    /// The archive that it runs.
    pub trail: Trail,
    /// The door for its own messages.
    pub post: Post,
    /// The accounts' sign-in, with its limits.
    pub sign_in: SignIn,
    /// The accounts as a whole.
    pub(crate) accounts: Accounts,
}

impl Office {
    /// In a running server.
    pub fn open(config: &Config, vault: Vault, running: Running) -> Self {
        let Running { trail, post, sign_in, accounts } = running;
        let shelves = Shelves::of(trail, vault.clone());
        Self::new(config, vault, shelves, sign_in, Some(Household { post, accounts }))
    }

    /// On an open folder that no server runs. [`Office::close`] ends it.
    pub fn at_rest(config: &Config, vault: Vault, users: Users) -> Self {
        let limit = Arc::new(SignInLimit::new(config.limits.logins_per_minute));
        let shelves = Shelves::closed(vault.clone());
        Self::new(config, vault, shelves, SignIn::new(users, limit), None)
    }

    fn new(
        config: &Config,
        vault: Vault,
        shelves: Shelves,
        sign_in: SignIn,
        house: Option<Household>,
    ) -> Self {
        let settings = RwLock::new(config.compliance);
        let (domains, users) = (config.domains.clone(), sign_in.users().clone());
        let codes = SignInLimit::new(None);
        Self(Arc::new(Inner {
            shelves,
            vault,
            users,
            sign_in,
            codes,
            domains,
            settings,
            house,
            changes: Mutex::default(),
        }))
    }

    /// Whoever sits at the machine's console; `account` is the operating system's word for who that is.
    pub fn operator(&self, account: &str) -> Actor {
        Actor::operator(BareJid::from_parts(None, self.main_domain()), account)
    }

    /// The accounts.
    pub fn users(&self) -> &Users {
        &self.0.users
    }

    /// Takes over what a reloaded configuration says.
    pub fn reconfigure(&self, config: &Config) {
        *self.0.settings.write() = config.compliance;
    }

    /// What was added on an open folder is signed. In a running server this is the server's business.
    pub async fn close(&self) {
        if self.0.house.is_none() {
            self.0.shelves.shut().await;
        }
    }

    /// Removes what is over. Called now and then.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn sweep(&self) -> Result<(), Refusal> {
        sessions::sweep(&self.0.vault).await?;
        Ok(tokens::sweep(&self.0.vault).await?)
    }

    /// How somebody is called.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn name_of(&self, who: &BareJid) -> Result<Option<String>, Refusal> {
        let account = self.0.users.find(who).await?;
        match account.and_then(|account| account.name.clone()) {
            Some(name) => Ok(Some(name)),
            None => Ok(Profile::find(&self.0.vault, who).await?.name),
        }
    }

    pub(crate) fn settings(&self) -> Compliance {
        *self.0.settings.read()
    }

    fn main_domain(&self) -> &DomainRef {
        // The configuration never lets an empty list through.
        self.0.domains.first().map_or(crate::config::localhost_ref(), |domain| domain)
    }

    fn serves(&self, domain: &DomainRef) -> bool {
        self.0.domains.iter().any(|ours| ours.as_str() == domain.as_str())
    }
}

/// The roles that somebody has now, and those that wait for a second factor.
fn awake(settings: &Compliance, roles: Roles, factor: bool) -> (Roles, Roles) {
    match settings.second_factor && !factor {
        true => (Roles::USER, roles),
        false => (roles, Roles::USER),
    }
}
