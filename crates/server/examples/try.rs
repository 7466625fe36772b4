use std::sync::Arc;
#[tokio::main]
async fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let sources = server::config::Sources {
        file: None,
        data: Some(dir.clone().into()),
        environment: vec![
            ("CHANCERY_DEVELOPMENT_INSECURE_LOGIN".into(), "true".into()),
            ("CHANCERY_LIMITS_LOGINS_PER_MINUTE".into(), "0".into()),
        ],
    };
    let config = server::config::Config::load(&sources).unwrap();
    let vault = vault::Vault::open(dir.as_ref(), vault::MasterKey::from_bytes([7; 32])).await.unwrap();
    let tls = server::tls::Tls::new(&server::tls::Pem::self_signed(&config.domains).unwrap()).unwrap();
    let s = server::Server::start(&config, vault, tls, server::metrics::Exporter::install()).await.unwrap();
    for i in 0..200 {
        let jid = server::users::Users::address(&format!("user{i}"), config.domain()).unwrap();
        let _ = s.users().create(&jid, server::users::NewAccount::new("secret")).await;
    }
    println!("ready {:?}", s.addresses());
    tokio::signal::ctrl_c().await.unwrap();
    s.shutdown().await;
    let _ = Arc::new(());
}
