//! The sockets: all are bound before any is served, so a server that starts, starts whole.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Addresses, Server, StartError};
use crate::component;
use crate::config::Config;
use crate::http::{self, Door, Web};
use crate::listen::{self, Hall};
use crate::tls::Tls;

impl Server {
    pub(super) async fn listen(
        config: &Config,
        hall: &Arc<Hall>,
        web: &Arc<Web>,
        tls: &Tls,
        port: &Arc<component::Port>,
        stopping: &watch::Receiver<bool>,
    ) -> Result<Addresses, StartError> {
        let mut addresses = Addresses::default();
        // Bind all before serving any: a server that starts, starts whole.
        let xmpp = bind("listen.xmpp", &config.listen.xmpp, &mut addresses.xmpp).await?;
        let xmpp_tls = bind("listen.xmpp_tls", &config.listen.xmpp_tls, &mut addresses.xmpp_tls).await?;
        let http = bind("listen.http", &config.listen.http, &mut addresses.http).await?;
        let https = bind("listen.https", &config.listen.https, &mut addresses.https).await?;
        web.found(&addresses);
        let components = match config.components.is_empty() {
            true => Vec::new(),
            false => bind("listen.component", &config.listen.component, &mut addresses.component).await?,
        };
        for listener in components {
            tokio::spawn(component::accept(listener, port.clone(), stopping.clone()));
        }
        for (listeners, direct_tls) in [(xmpp, false), (xmpp_tls, true)] {
            for listener in listeners {
                tokio::spawn(listen::accept(listener, direct_tls, hall.clone(), stopping.clone()));
            }
        }
        let routes = http::router(web.clone());
        for (listeners, tls) in [(http, None), (https, Some(tls.clone()))] {
            for listener in listeners {
                let (permits, idle) = (hall.permits.clone(), config.files.idle);
                let door = Door { listener, tls: tls.clone(), permits, idle };
                tokio::spawn(http::serve(door, routes.clone(), stopping.clone()));
            }
        }
        Ok(addresses)
    }
}

async fn bind(
    key: &'static str,
    wanted: &[SocketAddr],
    bound: &mut Vec<SocketAddr>,
) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for address in wanted {
        let fail = |error| StartError::Listen { key, address: *address, error };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        bound.push(listener.local_addr().map_err(fail)?);
        listeners.push(listener);
    }
    Ok(listeners)
}
