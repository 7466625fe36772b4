//! A newcomer by the operator's hand: `chancery user invite`, and what its link is good for.

use serde_json::Value;

use crate::{
    client::Client,
    harness::{Server, Wish, run},
};

/// Makes a link and returns the answer.
async fn invite(server: &Server, arguments: &[&str]) -> Value {
    let mut all = vec!["user", "invite", "--json"];
    all.extend_from_slice(arguments);
    let output = run(&mut server.chancery(&all), "").await;
    assert!(output.status.success(), "user invite: {}", output.text);
    serde_json::from_str(&output.stdout).unwrap()
}

/// Signs up with a link's token on a fresh connection.
async fn sign_up(server: &Server, link: &Value, name: &str) -> Client {
    let token = link["uri"].as_str().unwrap().split("preauth=").nth(1).unwrap().to_owned();
    let mut client = Client::open(server).await;
    client
        .send(&format!(
            "<iq type='set' id='token' to='corp.example'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/></iq>"
        ))
        .await;
    client.until("id='token'").await;
    client
        .send(&format!(
            "<iq type='set' id='account' to='corp.example'><query xmlns='jabber:iq:register'>\
             <username>{name}</username><password>one password</password></query></iq>"
        ))
        .await;
    client
}

#[tokio::test]
async fn a_link_from_the_command_line_makes_one_account_with_its_groups_and_no_second() {
    let mut server = Wish::plain().toml("[directory]\nshared_groups = [\"Sales\"]\n").prepare().await;
    server.user("anna", "one password").await;
    server.start().await;
    let link =
        invite(&server, &["--name", "carla", "--display-name", "Carla Clever", "--groups", "Sales"]).await;
    assert!(link["uri"].as_str().unwrap().starts_with("xmpp:carla@corp.example?register;preauth="), "{link}");
    let taken = run(&mut server.chancery(&["user", "invite", "--name", "anna"]), "").await;
    assert_eq!(taken.status.code(), Some(1), "{}", taken.text);

    let mut carla = sign_up(&server, &link, "carla").await;
    let made = carla.until("id='account'").await;
    assert!(made.contains("type='result'"), "{made}");
    Client::sign_in(&server, "carla", "one password", "desk").await;
    let people = run(&mut server.chancery(&["user", "list", "--json"]), "").await;
    let people: Value = serde_json::from_str(&people.stdout).unwrap();
    let carla = people.as_array().unwrap().iter().find(|one| one["address"] == "carla@corp.example").unwrap();
    assert_eq!(carla["name"], "Carla Clever", "{carla}");
    assert_eq!(carla["groups"][0], "Sales", "{carla}");

    let mut second = sign_up(&server, &link, "dora").await;
    let refused = second.until("</iq>").await;
    assert!(refused.contains("type='error'"), "{refused}");
    server.stop().await;
}
