//! A client of the HTTP API: JSON in, JSON out, with the cookie and the token of its session.

use serde_json::{Value, json};

use crate::house::{House, PASSWORD};
use crate::http::{Answer, ask};

/// A server with a web side and the API's pace unbounded.
pub async fn house(settings: &[(&str, &str)]) -> House {
    let mut all = vec![("LISTEN_HTTP", "127.0.0.1:0"), ("LIMITS_REQUESTS_PER_MINUTE", "0")];
    all.extend_from_slice(settings);
    House::with(&all).await
}

/// Somebody's browser, or a program with a token, or a stranger.
#[derive(Clone, Default)]
pub struct Caller {
    pub root: String,
    pub cookie: Option<String>,
    pub csrf: Option<String>,
    pub token: Option<String>,
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub raw: Answer,
}

impl Reply {
    /// The last word of the problem's type, after checking that it is one.
    #[track_caller]
    pub fn problem(&self) -> &str {
        assert_eq!(self.raw.header("content-type"), Some("application/problem+json"), "{}", self.body);
        assert_eq!(self.body["status"], self.status);
        self.body["type"].as_str().unwrap().strip_prefix("urn:chancery:problem:").unwrap()
    }

    /// The body, after it went well.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.body);
        self.body
    }
}

impl Caller {
    pub fn stranger(house: &House) -> Self {
        let root = format!("http://{}/api/v1", house.server.addresses().http[0]);
        Self { root, ..Self::default() }
    }

    /// Signed in, by password alone.
    pub async fn sign_in(house: &House, name: &str) -> Self {
        let mut caller = Self::stranger(house);
        let reply = caller.post("/session", &json!({ "user": name, "password": PASSWORD })).await;
        caller.keep(reply);
        caller
    }

    /// Takes over cookie and token of an answer to a sign-in.
    #[track_caller]
    pub fn keep(&mut self, reply: Reply) -> Value {
        assert_eq!(reply.status, 201, "{}", reply.body);
        let cookie = reply.raw.header("set-cookie").unwrap().split(';').next().unwrap();
        self.cookie = Some(cookie.to_owned());
        self.csrf = Some(reply.body["csrf_token"].as_str().unwrap().to_owned());
        reply.body
    }

    /// With the session of another.
    pub fn dressed_as(self, other: &Self) -> Self {
        Self { root: self.root, ..other.clone() }
    }

    /// A program with a token instead of the session.
    pub fn with_token(&self, token: &str) -> Self {
        Self { root: self.root.clone(), token: Some(token.to_owned()), ..Self::default() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.json("POST", path, body).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], b"").await
    }

    pub async fn json(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.send(method, path, &[("Content-Type", "application/json")], body.to_string().as_bytes()).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut all = headers.to_vec();
        let length = body.len().to_string();
        all.push(("Content-Length", &length));
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        all.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        all.extend(self.cookie.as_deref().map(|cookie| ("Cookie", cookie)));
        all.extend(self.csrf.as_deref().map(|token| ("X-CSRF-Token", token)));
        let raw = ask(method, &format!("{}{path}", self.root), &all, body).await;
        let body = match raw.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&raw.body)
                .unwrap_or_else(|_| String::from_utf8_lossy(&raw.body).into()),
        };
        Reply { status: raw.status, body, raw }
    }
}
