//! With the key absent, nothing that people said, and nobody's name, can be read from the data folder.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    client::{Client, find},
    files,
    harness::{Wish, run},
};

/// Words that occur nowhere but in this test: accounts, addresses, names and things said.
const SECRETS: &[&str] = &[
    "ottilie",
    "balthasar",
    "quastenflosser",
    "zanzibar",
    "quicksilver",
    "überraschungsgeheimnis",
    "Ñandúküken",
    "秘密の言葉",
    "тайныйзамысел",
    "persephone",
    "kirschwasser",
    "wolpertinger",
    "rumpelstilzchen",
    "mistelzweig",
    "nachtschwärmer",
    "passwort-eulenspiegel",
    "siebenschläfer",
    "klabautermann",
];

#[tokio::test]
async fn no_name_and_no_word_can_be_read_from_the_data_folder() {
    let mut server = Wish::plain().prepare().await;
    server.user("ottilie", "passwort-eulenspiegel").await;
    server.user("balthasar", "passwort-eulenspiegel").await;
    server.user("quastenflosser", "passwort-eulenspiegel").await;
    server.start().await;

    let mut ottilie = Client::sign_in(&server, "ottilie", "passwort-eulenspiegel", "wolpertinger").await;
    let mut balthasar = Client::sign_in(&server, "balthasar", "passwort-eulenspiegel", "wolpertinger").await;
    // Said to somebody who is there, and to somebody who is not.
    for to in ["balthasar", "quastenflosser"] {
        ottilie
            .send(&format!(
                "<message type='chat' to='{to}@corp.example' id='mistelzweig'><subject>persephone</subject><body>\
                 Zanzibar QUICKSILVER überraschungsgeheimnis 秘密の言葉 тайныйзамысел</body></message>"
            ))
            .await;
    }
    balthasar.until("</message>").await;
    // A roster with a name and a group, a subscription that waits, a business card, a private note, a blocked address.
    for (number, payload) in [
        "<query xmlns='jabber:iq:roster'><item jid='balthasar@corp.example' name='Ñandúküken'>\
         <group>kirschwasser</group></item></query>",
        "<vCard xmlns='vcard-temp'><FN>Ñandúküken</FN><TITLE>persephone</TITLE></vCard>",
        "<query xmlns='jabber:iq:private'><note xmlns='urn:example:note'>rumpelstilzchen</note></query>",
        "<block xmlns='urn:xmpp:blocking'><item jid='rumpelstilzchen@nachtschwärmer.example'/></block>",
        // A node that others read, and so an event; one for the account alone; bookmarks in an old form.
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:example:quicksilver'>\
         <item id='wolpertinger'><tune xmlns='urn:example:tune'>überraschungsgeheimnis</tune></item></publish></pubsub>",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'>\
         <item id='zanzibar@conference.corp.example'><conference xmlns='urn:xmpp:bookmarks:1' name='kirschwasser'/></item>\
         </publish></pubsub>",
        "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>\
         <conference jid='zanzibar@conference.corp.example' name='秘密の言葉'/></storage></query>",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><affiliations node='urn:example:quicksilver'>\
         <affiliation jid='balthasar@corp.example' affiliation='member'/></affiliations></pubsub>",
    ]
    .into_iter()
    .enumerate()
    {
        ottilie.send(&format!("<iq type='set' id='set-{number}'>{payload}</iq>")).await;
        ottilie.until(&format!("id='set-{number}'")).await;
        let answer = ottilie.until(">").await;
        assert!(!answer.contains("error"), "{payload}: {answer}");
    }
    ottilie.send("<presence type='subscribe' to='quastenflosser@corp.example'><status>mistelzweig</status></presence>").await;
    assert!(ottilie.ping().await.contains("result"));
    // A file, fetched once, and one that never arrives.
    let words = "Klabautermann an Deck. ".repeat(10_000);
    let file = files::slot(&mut ottilie, "siebenschläfer.txt", words.len() as u64, "text/plain").await;
    assert_eq!(files::put_words(&server, &file, words.as_bytes()).await, 201);
    assert_eq!(files::size(&server, &file.url).await, words.len() as u64);
    let late = files::slot(&mut ottilie, "siebenschläfer-2.txt", 1_000_000, "text/plain").await;
    let _half = files::put_half(&server, &late, words.as_bytes(), 1_000_000).await;
    // A room with a name, a password, a subject, a member and something said.
    let room = "kirschwasser@conference.corp.example";
    ottilie
        .send(&format!(
            "<presence to='{room}/mistelzweig'><x xmlns='http://jabber.org/protocol/muc'/></presence>\
             <iq type='set' id='room' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field>\
             <field var='muc#roomconfig_persistentroom'><value>1</value></field>\
             <field var='muc#roomconfig_roomname'><value>Ñandúküken</value></field>\
             <field var='muc#roomconfig_passwordprotectedroom'><value>1</value></field>\
             <field var='muc#roomconfig_roomsecret'><value>passwort-eulenspiegel</value></field>\
             <field var='muc#roomconfig_roomadmins'><value>balthasar@corp.example</value></field></x></query></iq>\
             <message type='groupchat' to='{room}'><subject>persephone</subject></message>\
             <message type='groupchat' to='{room}'><body>rumpelstilzchen in zanzibar</body></message>"
        ))
        .await;
    ottilie.until("rumpelstilzchen in zanzibar").await;

    // Once with the journal of the running server, once when everything is put away.
    search(&server.data());
    let backup = server.folder().join("backup");
    let said = run(server.chancery(&["backup"]).arg(&backup), "").await;
    assert!(said.status.success(), "backup: {}", said.text);
    search(&backup);
    server.stop().await;
    search(&server.data());
    for word in ["persephone", "Zanzibar", "rumpelstilzchen", "passwort", "schläfer", "%C3%A4fer", file.id()]
    {
        assert!(!server.log().contains(word), "the log tells {word}");
    }

    // All of that is still there for those who may read it.
    server.start().await;
    let mut quastenflosser =
        Client::sign_in(&server, "quastenflosser", "passwort-eulenspiegel", "desk").await;
    quastenflosser.until("秘密の言葉").await;
    assert_eq!(files::size(&server, &file.url).await, words.len() as u64);
}

#[test]
fn the_search_finds_every_form_of_a_word() {
    let folder = tempfile::tempdir().unwrap();
    for secret in SECRETS {
        for (form, bytes) in forms(secret) {
            let file = folder.path().join("planted");
            std::fs::write(&file, [b"\0\xffbefore".as_slice(), &bytes, b"after\0"].concat()).unwrap();
            assert!(!findings(folder.path()).is_empty(), "{secret} as {form} was overlooked");
        }
    }
    std::fs::write(folder.path().join("planted"), "nothing of interest").unwrap();
    assert!(findings(folder.path()).is_empty());
    std::fs::rename(folder.path().join("planted"), folder.path().join("x-ottilie.db")).unwrap();
    assert!(!findings(folder.path()).is_empty(), "the name of a file was overlooked");
}

fn search(folder: &Path) {
    let files = files(folder);
    let size: u64 = files.iter().map(|file| std::fs::metadata(file).map_or(0, |data| data.len())).sum();
    assert!(size > 10_000, "there is hardly anything to search: {files:?}");
    assert_eq!(findings(folder), Vec::<String>::new());
}

/// Where a secret can be read below this folder, in contents and in names.
fn findings(folder: &Path) -> Vec<String> {
    let needles: Vec<_> =
        SECRETS.iter().flat_map(|secret| forms(secret).into_iter().map(move |form| (secret, form))).collect();
    let mut found = Vec::new();
    for file in files(folder) {
        // A file may be gone by now; then nobody can read it.
        let Ok(mut contents) = std::fs::read(&file) else { continue };
        contents.extend_from_slice(file.strip_prefix(folder).unwrap().as_os_str().as_encoded_bytes());
        let folded = contents.to_ascii_lowercase();
        for (secret, (form, needle)) in &needles {
            // Base64 means something else in other case; everything else is looked for in any case.
            let there = if form.starts_with("base64") {
                find(&contents, needle)
            } else {
                find(&folded, &needle.to_ascii_lowercase())
            };
            if there.is_some() {
                found.push(format!("{secret} as {form} in {}", file.display()));
            }
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// How a word may lie in a file.
fn forms(word: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("UTF-8", word.as_bytes().to_vec()),
        ("UTF-8 in lower case", word.to_lowercase().into_bytes()),
        ("UTF-16LE", word.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16BE", word.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("hex", word.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()),
        ("backwards", word.bytes().rev().collect()),
    ];
    for text in [word.to_owned(), word.to_lowercase()] {
        for shift in 0..3 {
            // Wherever the word begins in a group of three bytes, what is left without the groups that it shares
            // with its neighbours is always the same.
            let encoded = STANDARD.encode([&b"\0\0"[..shift], text.as_bytes()].concat());
            let from = (shift * 8).div_ceil(6);
            let to = (shift + text.len()) * 8 / 6;
            let inner = &encoded[from..to];
            forms.push(("base64", inner.as_bytes().to_vec()));
            forms.push(("base64 for URLs", inner.replace('+', "-").replace('/', "_").into_bytes()));
        }
    }
    forms
}
