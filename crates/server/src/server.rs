//! Putting the house together, and taking it apart in good order.

mod background;
mod doors;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use archive::{Archive, ArchiveError};
use stanza::{BareJid, DomainPart, StreamCondition};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use vault::Vault;

use crate::accounts::Accounts;
use crate::border::Border;
use crate::caps::Caps;
use crate::component::{self, Component};
use crate::config::{Config, EncryptedMessages, Limits};
use crate::connection::Clerk;
use crate::courier;
use crate::directory::{Groups, Search};
use crate::fates::Fates;
use crate::files::{self, Files};
use crate::history::{History, Spooled};
use crate::http::{self, Health, Web};
use crate::invitations::Invitations;
use crate::iq::{
    Desk, Handler, adhoc, admin, blocking, carbons, disco, establish, external, invite, last, ping, private,
    register, roster, time, vcard, version, wake,
};
use crate::listen::{self, Hall};
use crate::metrics::Exporter;
use crate::office::{self, Office};
use crate::outbox::Bounds;
use crate::people::People;
use crate::post::{Post, Trail, settle};
use crate::presence::Presence;
use crate::pubsub::PubSub;
use crate::pubsub::desk::PersonalDesk;
use crate::pubsub::service::PublicNodes;
use crate::pulse::Pulse;
use crate::push::{self, Pusher};
use crate::rooms::company::Company;
use crate::rooms::{Means, Rooms};
use crate::router::{Router, Spool};
use crate::sessions::Sessions;
use crate::stream::Gate;
use crate::suspend;
use crate::tls::Tls;
use crate::users::{SignIn, SignInLimit, UserError, Users};

/// A running server.
pub struct Server {
    addresses: Addresses,
    vault: Vault,
    tls: Tls,
    accounts: Accounts,
    router: Router,
    rooms: Option<Rooms>,
    trail: Trail,
    sign_in: SignIn,
    office: Office,
    web: Arc<Web>,
    stop: watch::Sender<bool>,
    spool: mpsc::UnboundedSender<Spool>,
    /// Every connection holds a sender, and so does the server itself until it stops.
    alive: (mpsc::Sender<()>, mpsc::Receiver<()>),
}

/// Where the server listens, as bound: port 0 in the configuration is a real port here.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Clients, STARTTLS.
    pub xmpp: Vec<SocketAddr>,
    /// Clients, TLS.
    pub xmpp_tls: Vec<SocketAddr>,
    /// The web, plain.
    pub http: Vec<SocketAddr>,
    /// The web, TLS.
    pub https: Vec<SocketAddr>,
    /// External components.
    pub component: Vec<SocketAddr>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error("cannot listen on {address} ({key}): {error}")]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The archive cannot be opened.
    #[error("cannot open the archive: {0}")]
    Archive(#[from] ArchiveError),
}

/// How long sessions may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(8);
/// How often idle accounts are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

impl Server {
    /// Opens the archive, binds every listener and begins to serve.
    ///
    /// # Errors
    /// When an address cannot be had or the archive cannot be read; nothing is left running then.
    pub async fn start(
        config: &Config,
        vault: Vault,
        tls: Tls,
        exporter: Exporter,
    ) -> Result<Self, StartError> {
        let limits = &config.limits;
        let users = Users::new(vault.clone(), Default::default());
        let people = People::new(users.clone(), vault.clone());
        let (spool, spooling) = mpsc::unbounded_channel();
        let alive = mpsc::channel(1);
        let (stop, stopping) = watch::channel(false);

        // The archive delivers through the router, and the router names events by the archive.
        let delivery: Arc<OnceLock<Router>> = Arc::default();
        let sink = delivery.clone();
        let pulse = Pulse::new();
        let felt = pulse.clone();
        let trail: Trail = Archive::start(vault.clone(), Default::default(), move |outcome| {
            felt.feel(&outcome);
            if let Some(router) = sink.get() {
                settle(router, outcome);
            }
        })
        .await?;
        let domains = config.domains.iter().map(|domain| domain.as_str().to_owned());
        let router = Router::new(domains, people.clone(), trail.clone(), spool.clone());
        let router = delivery.get_or_init(|| router).clone();
        for component in &config.components {
            let (domain, secret) = (component.domain.clone(), component.secret.clone());
            router.expect(Arc::new(Component::new(domain, secret, component_bounds(limits))));
        }

        let rules = policy::Rules {
            encrypted: match config.policy.encrypted_messages {
                EncryptedMessages::Refuse => policy::Encrypted::Refuse,
                EncryptedMessages::Allow => policy::Encrypted::Allow,
            },
        };
        let fates = Fates::new(vault.clone(), trail.clone());
        let post = Post::new(router.clone(), trail.clone(), fates.clone(), rules);
        let files = files::open(config, &vault, &post, &router, &stopping).await;
        let spooled = Spooled::new(trail.clone(), config.domain().as_str());
        let caps = Caps::load(router.clone(), vault.clone()).await.map_err(ArchiveError::from)?;
        let readable = rules.encrypted == policy::Encrypted::Refuse;
        let (pubsub, photos) = PubSub::start(
            post.clone(),
            router.clone(),
            people.clone(),
            vault.clone(),
            caps.clone(),
            readable,
        );
        for domain in &config.domains {
            open_nodes(domain, &router, &pubsub);
        }
        let conference =
            DomainPart::new(&format!("conference.{}", config.domain())).map(Cow::into_owned).ok();
        let company = Company::found(
            &config.company_rooms,
            conference.as_ref(),
            vault.clone(),
            users.clone(),
            pubsub.clone(),
        );
        let company = company.await.map_err(ArchiveError::from)?;
        let presence = Presence {
            router: router.clone(),
            people: people.clone(),
            post: post.clone(),
            vault: vault.clone(),
            spool: spooled.clone(),
            caps: caps.clone(),
            pubsub: pubsub.clone(),
            company: company.clone(),
        };
        tokio::spawn(presence.clone().show_photos(photos));
        let bounds = Bounds { parcels: limits.outbox_stanzas.get(), bytes: limits.outbox_bytes.get() };
        let sessions =
            Sessions::new(presence.clone(), router.clone(), bounds, limits.resume, alive.0.downgrade());

        let history = History { trail: trail.clone(), fates };
        let cards = vcard::VCardDesk { vault: vault.clone(), users: users.clone(), pubsub: pubsub.clone() };
        let cards = Arc::new(cards);
        let rooms = match conference {
            Some(domain) => {
                let means = Means {
                    post: post.clone(),
                    history: history.clone(),
                    cards: cards.clone(),
                    vault: vault.clone(),
                    users: users.clone(),
                    rules: config.rooms,
                    company,
                };
                let rooms = Rooms::open(&domain, means);
                let rooms = rooms.await.map_err(ArchiveError::from)?;
                router.open(domain.as_str(), Arc::new(rooms.clone()));
                Some(rooms)
            }
            // The domain is so long that nothing fits in front of it.
            None => None,
        };

        let accounts = Accounts {
            users: users.clone(),
            people: people.clone(),
            presence: presence.clone(),
            sessions: sessions.clone(),
            vault: vault.clone(),
            trail: trail.clone(),
            spool: spool.clone(),
            pubsub: pubsub.clone(),
            rooms: rooms.clone(),
        };
        let admin = admin::Admin { accounts: accounts.clone(), post: post.clone(), router: router.clone() };
        let invitations = Invitations {
            accounts: accounts.clone(),
            limit: Arc::new(SignInLimit::new(limits.registrations_per_minute)),
            origin: Arc::new(http::Origin::new(config)),
        };
        let mut commands = admin::commands(admin);
        commands.extend(invite::commands(invitations.clone()));
        let commands = Arc::new(adhoc::AdHoc::new(users.clone(), commands));
        for of in &config.domains {
            let of = of.clone();
            let address = format!("directory.{of}");
            let (users, vault, router) = (users.clone(), vault.clone(), router.clone());
            router.clone().open(&address, Arc::new(Search { of, users, vault, router }));
        }
        let shared = config.shared_groups.clone();
        let groups = Groups::new(vault.clone(), people.clone(), presence.clone(), shared);
        let mut handlers: Vec<Arc<dyn Handler>> = vec![
            Arc::new(ping::Ping),
            Arc::new(establish::Establish),
            Arc::new(roster::RosterDesk { people: people.clone(), presence: presence.clone(), groups }),
            Arc::new(blocking::BlockingDesk { people: people.clone(), presence: presence.clone() }),
            Arc::new(carbons::CarbonsDesk),
            Arc::new(register::RegisterDesk { accounts: accounts.clone(), open: config.registration.open }),
            Arc::new(history),
            Arc::new(version::Version),
            Arc::new(time::Time),
            Arc::new(last::Last { vault: vault.clone(), started: Instant::now() }),
            Arc::new(private::Private { vault: vault.clone(), pubsub: pubsub.clone() }),
            Arc::new(wake::PushDesk { vault: vault.clone() }),
            Arc::new(external::External { services: config.external_services.clone() }),
            cards,
            Arc::new(PersonalDesk { pubsub: pubsub.clone() }),
            commands.clone(),
        ];
        let disco = disco::Disco::new(
            &handlers,
            &config.contact,
            config.policy.encrypted_messages,
            commands,
            router.clone(),
            pubsub.clone(),
        );
        let capabilities = disco.capabilities().clone();
        handlers.push(Arc::new(disco));

        let (pushes, pushing) = mpsc::channel(push::ROOM);
        router.push_to(pushes);
        let pusher = Pusher { post: post.clone(), router: router.clone(), vault: vault.clone() };
        tokio::spawn(push::run(pusher, pushing));
        let desk = Desk::new(router.clone(), post.clone(), caps, pubsub, handlers);
        let border = Border { post: post.clone(), presence: presence.clone(), desk: desk.clone() };
        let clerk = Clerk {
            post,
            presence,
            desk,
            router: router.clone(),
            sessions: sessions.clone(),
            stanzas_per_second: limits.stanzas_per_second.map_or(0, |rate| rate.get()),
        };
        let sign_in = SignIn::new(users.clone(), Arc::new(SignInLimit::new(limits.logins_per_minute)));
        let running = office::Running {
            trail: trail.clone(),
            post: clerk.post.clone(),
            sign_in: sign_in.clone(),
            accounts: accounts.clone(),
        };
        let office = Office::open(config, vault.clone(), running);
        if let Err(error) = office.begin_supervision().await {
            tracing::warn!(%error, "supervision could not begin; it is tried again later");
        }
        courier::start(config, &trail, &vault, &stopping);
        let registration = register::Registration {
            open: config.registration.open,
            users: users.clone(),
            limit: invitations.limit.clone(),
            invitations: invitations.clone(),
        };
        let stanza_limits = stanza::Limits { stanza_bytes: limits.stanza_bytes, ..Default::default() };
        let gate = Gate {
            domains: config.domains.clone().into(),
            tls: tls.clone(),
            sign_in: sign_in.clone(),
            people: people.clone(),
            clerk,
            registration,
            limits: stanza_limits,
            preauth: limits.preauth,
            trail: trail.clone(),
            capabilities,
        };
        let permits = limits.connections.map(|most| Arc::new(Semaphore::new(most.get())));
        let port = Arc::new(component::Port {
            router: router.clone(),
            border,
            limits: stanza_limits,
            preauth: (limits.preauth, limits.preauth_bytes),
            attempts: sign_in.limit().clone(),
            permits: permits.clone(),
            alive: alive.0.downgrade(),
        });
        let hall = Arc::new(Hall {
            gate: Arc::new(gate),
            insecure: config.development.insecure_login,
            preauth_bytes: limits.preauth_bytes,
            permits: permits.clone(),
        });

        let web_hall = hall.clone();
        let health_stop = stopping.clone();
        let health = Arc::new(move || if *health_stop.borrow() { Health::Stopping } else { pulse.health() });
        let web = Web::new(
            config,
            exporter,
            health,
            Arc::new(move |socket, peer| Box::pin(listen::websocket(socket, peer, web_hall.clone()))),
            files,
            Some(invitations),
            Some(http::Counter::new(config, office.clone())),
        );
        let addresses = Self::listen(config, &hall, &web, &tls, &port, &stopping).await?;

        tokio::spawn(background::spool_worker(spooled, people.clone(), spooling));
        sessions.wake(&vault, &people).await.map_err(ArchiveError::from)?;
        if let Some(rooms) = &rooms {
            rooms.restore(&router).await.map_err(ArchiveError::from)?;
        }
        tokio::spawn(office::supervise(office.clone(), stopping.clone()));
        tokio::spawn(background::sweep(people.clone(), office.clone(), stopping));
        Ok(Self {
            vault,
            addresses,
            tls,
            accounts,
            router,
            rooms,
            trail,
            sign_in,
            office,
            web,
            stop,
            spool,
            alive,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The accounts; there must be no other [`Users`] on this vault.
    pub fn users(&self) -> &Users {
        &self.accounts.users
    }

    /// The archive.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Who may what with other people's words.
    pub fn office(&self) -> &Office {
        &self.office
    }

    /// The files; `None` without a web side.
    pub fn files(&self) -> Option<&Files> {
        self.web.files()
    }

    /// The certificate, to be replaced on a reload.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Takes over what of a changed configuration can change while running.
    pub fn reconfigure(&self, config: &Config) {
        self.web.reconfigure(config);
        self.sign_in.limit().set_per_minute(config.limits.logins_per_minute);
    }

    /// Ends every session of an account, as when it is disabled; returns how many there were.
    pub async fn sign_out(&self, jid: &BareJid) -> usize {
        self.accounts.sign_out(jid).await
    }

    /// Removes an account with all that is kept for it, and tells its contacts. What it wrote stays in the archive.
    ///
    /// # Errors
    /// [`UserError::Unknown`]; what the vault says.
    pub async fn remove(&self, jid: &BareJid) -> Result<(), UserError> {
        self.accounts.remove(jid).await
    }

    /// Stops: no new connections, `system-shutdown` to every stream, what is undelivered to the spool, a last commit
    /// and checkpoint.
    pub async fn shutdown(self) {
        let Self { vault, accounts, router, rooms, trail, stop, spool, alive: (guard, mut alive), .. } = self;
        let _ = stop.send(true);
        if let Some(rooms) = &rooms {
            rooms.close().await;
        }
        let Accounts { people, sessions, .. } = accounts;
        let resumable = sessions.shut(&people).await;
        for component in router.components() {
            component.close(StreamCondition::SystemShutdown);
        }
        drop(guard);
        // Connections that are still signing in hold a guard too; they are cut off at the deadline.
        let _ = tokio::time::timeout(DRAIN, alive.recv()).await;
        for session in &resumable {
            session.pending.settled().await;
        }
        match suspend::store(&vault, &resumable).await {
            Ok(()) => {
                if let Some(rooms) = &rooms {
                    rooms.keep().await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "sessions cannot be resumed after this stop");
                sessions.abandon(&resumable);
            }
        }
        let (done, finished) = oneshot::channel();
        if spool.send(Spool::Done(done)).is_ok() {
            let _ = finished.await;
        }
        trail.shutdown().await;
    }
}

/// A component stands for many people, so more may wait for it than for a client.
fn component_bounds(limits: &Limits) -> Bounds {
    let parcels = limits.outbox_stanzas.get().saturating_mul(10);
    Bounds { parcels, bytes: limits.outbox_bytes.get().saturating_mul(10) }
}

/// The nodes that belong to no account are at `pubsub.DOMAIN`.
fn open_nodes(domain: &stanza::DomainPart, router: &Router, pubsub: &PubSub) {
    let Ok(domain) = BareJid::new(&format!("pubsub.{domain}")) else { return };
    let service = PublicNodes { domain: domain.clone(), pubsub: pubsub.clone(), router: router.clone() };
    router.open(domain.as_str(), Arc::new(service));
}
