//! Dispatch: whatever a signed-in client sends, the server answers it or ends the stream, and goes on serving others.
//!
//! A real server on loopback with a vault in a temporary folder. Each input is a connection of its own; after it,
//! a second client that has been there from the start must still get an answer.
#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use server::config::{Config, Sources};
use server::metrics::Exporter;
use server::tls::{Pem, Tls};
use server::users::{NewAccount, Users};
use vault::{MasterKey, Vault};

struct House {
    address: SocketAddr,
    witness: Mutex<TcpStream>,
    // Dropping either would end the server or lose its folder.
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let address = runtime.block_on(async {
        let setting = |name: &str, value: &str| (format!("CHANCERY_{name}"), value.to_owned());
        let environment = vec![
            setting("LISTEN_XMPP", "127.0.0.1:0"),
            setting("LISTEN_XMPP_TLS", ""),
            setting("LISTEN_S2S", ""),
            setting("LISTEN_HTTP", ""),
            setting("LISTEN_COMPONENT", ""),
            setting("LIMITS_LOGINS_PER_MINUTE", "0"),
            setting("DEVELOPMENT_INSECURE_LOGIN", "true"),
        ];
        let data = folder.path().join("data");
        let sources = Sources { file: None, data: Some(data.clone()), environment };
        let config = Config::load(&sources).expect("a configuration");
        let vault = Vault::open(&data, MasterKey::from_bytes([7; 32])).await.expect("a vault");
        let tls = Tls::new(&Pem::self_signed(&config.domains).expect("a certificate")).expect("TLS");
        let server = server::Server::start(&config, vault, tls, Exporter::install()).await.expect("a server");
        for name in ["fuzz", "witness"] {
            let user = Users::address(name, config.domain()).expect("an address");
            server.users().create(&user, NewAccount::new("secret")).await.expect("an account");
        }
        let address = server.addresses().xmpp[0];
        // It serves until the process ends.
        std::mem::forget(server);
        address
    });
    let witness = Mutex::new(sign_in(address, "witness"));
    House { address, witness, _runtime: runtime, _folder: folder }
});

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

fn sign_in(address: SocketAddr, name: &str) -> TcpStream {
    use base64::Engine;
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{name}\0secret"));
    for (say, hear) in [
        (HEADER.to_owned(), "</stream:features>"),
        (format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"), "<success"),
        (HEADER.to_owned(), "</stream:features>"),
        ("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>".to_owned(), "</iq>"),
    ] {
        stream.write_all(say.as_bytes()).expect("a write");
        wait_for(&mut stream, hear);
    }
    stream
}

/// Panics at the end of the stream and when the words do not come in time: the server has failed.
fn wait_for(stream: &mut TcpStream, words: &str) {
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&heard).contains(words) {
        let read = stream.read(&mut piece).expect("an answer in time");
        assert_ne!(read, 0, "the server ended a stream that did nothing wrong");
        heard.extend_from_slice(&piece[..read]);
    }
}

fuzz_target!(|data: &[u8]| {
    let house = &*HOUSE;
    let mut stream = sign_in(house.address, "fuzz");
    let _ = stream.write_all(data);
    let _ = stream.shutdown(Shutdown::Write);
    // Whatever it says, it must come to an end.
    let mut answers = Vec::new();
    let _ = stream.read_to_end(&mut answers);

    let mut witness = house.witness.lock().expect("one input at a time");
    witness
        .write_all(b"<iq type='get' id='alive' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        .expect("a write");
    wait_for(&mut witness, "alive");
});
