//! Nothing that people wrote, and nobody's name, can be read in the folder without the key.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};

use common::{Trail, bare, draft};
use vault::{Expect, Record, Write};

#[derive(serde::Serialize, serde::Deserialize)]
struct Profile {
    nickname: String,
}

impl Record for Profile {
    const KIND: u16 = 5;
}

/// Words that occur nowhere else, in each place where the vault takes words from people.
const SECRETS: [&str; 9] = [
    "quetzalcoatl",
    "hippopotamus",
    "xylophonist",
    "zanzibarian",
    "kierkegaard",
    "constantinople",
    "balderdash",
    "offlinewordy",
    "jabber:client",
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// Which secrets stand in a file, as UTF-8, UTF-16 or base64, whatever the case.
fn readable(bytes: &[u8]) -> Vec<&'static str> {
    use base64::Engine;
    let lower = bytes.to_ascii_lowercase();
    let has = |haystack: &[u8], needle: &[u8]| memchr::memmem::find(haystack, needle).is_some();
    SECRETS
        .into_iter()
        .filter(|secret| {
            let wide: Vec<u8> = secret.bytes().flat_map(|byte| [byte, 0]).collect();
            // The middle of a base64 text does not depend on what is around, but on where it begins.
            let encoded = (0..3).map(|shift| {
                let text =
                    base64::engine::general_purpose::STANDARD_NO_PAD.encode(&secret.as_bytes()[shift..]);
                text.as_bytes()[..text.len() - 2].to_vec()
            });
            has(&lower, secret.as_bytes())
                || has(&lower, &wide)
                || encoded.into_iter().any(|text| has(bytes, &text))
        })
        .collect()
}

#[tokio::test]
async fn no_word_name_or_address_is_readable_in_any_file_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let mut trail = Trail::open(&data).await;
    let profile = Profile { nickname: "Kierkegaard".into() };
    trail
        .vault
        .apply(vec![Write::put("constantinople", "balderdash", &profile, Expect::Any).unwrap()])
        .await
        .unwrap();
    // Enough for a segment of the index and for tags to be folded.
    for n in 0..9000 {
        let mut draft = draft(
            "hippopotamus@xylophonist.example/zanzibarian",
            "juliet@a.example",
            &format!("Quetzalcoatl was here {n}"),
        );
        if n % 1000 == 0 {
            draft.spool = Some(bare("offlinewordy@a.example"));
        }
        trail.submit(n, Some(draft)).await;
    }
    for _ in 0..9000 {
        trail.outcomes.recv().await.unwrap();
    }
    let juliet = bare("juliet@a.example");
    let found = trail.found(&juliet, "quetzalcoatl 8999", 5).await;
    assert_eq!(found.len(), 1);
    let written = trail.vault.store().statistics().await.unwrap().bytes;
    trail.vault.backup(&copy, None, &[]).await.unwrap();

    // While it runs, journals and all; and again once it is closed.
    for round in 0..2 {
        let files = files(folder.path());
        assert!(files.len() >= 5, "{files:?}");
        let mut size = 0;
        for file in &files {
            let bytes = std::fs::read(file).unwrap();
            size += bytes.len() as u64;
            let words = readable(&bytes);
            assert!(words.is_empty(), "{} shows {words:?} in round {round}", file.display());
        }
        assert!(size >= written);
        if round == 0 {
            trail.archive.shutdown().await;
            trail.vault.close().await;
        }
    }

    // The same search does find them in what is not sealed.
    let open =
        std::fs::read(file!().rsplit('/').next().map(|name| Path::new("tests").join(name)).unwrap()).unwrap();
    assert!(readable(&open).len() == SECRETS.len());
    // And with the key they are all there.
    let trail = Trail::open(&data).await;
    assert_eq!(trail.archive.take_spool(&bare("offlinewordy@a.example")).await.unwrap().len(), 9);
    trail.close().await;
}
