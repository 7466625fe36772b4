//! Rooms with many in them, and with one who does not read.

use crate::client::{bodies, body};
use crate::house::{DOMAIN, House};
use crate::rooms::{ROOM, configure, enter, hear, knock, open, presence_of, say};
use server::users::NewAccount;

#[tokio::test]
async fn a_slow_occupant_goes_while_the_others_notice_nothing_but_that() {
    const MESSAGES: usize = 300;
    let house = House::with(&[("LIMITS_OUTBOX_STANZAS", "100"), ("LIMITS_RESUME_SECONDS", "0")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "c").await;
    let mut juliet = house.online("juliet", "b").await;
    open(&mut romeo, ROOM, "Romeo").await;
    enter(&mut nurse, ROOM, "Nurse").await;
    enter(&mut juliet, ROOM, "Juliet").await;
    let words = "o".repeat(60_000);
    let mut gone = false;
    for number in 0..MESSAGES {
        romeo
            .send(&format!("<message type='groupchat' to='{ROOM}'><body>{number} {words}</body></message>"))
            .await;
        for client in [&mut romeo, &mut nurse] {
            let heard = client.until(|element| body(element).is_some()).await;
            assert!(bodies(&heard)[0].starts_with(&format!("{number} ")));
            gone |= heard.iter().any(|element| {
                element.attr("type") == Some("unavailable")
                    && element.attr("from") == Some(&format!("{ROOM}/Juliet"))
            });
        }
    }
    assert!(gone, "she was too slow, and left");
    while juliet.raw().try_next().await.is_some() {}
}

#[tokio::test]
async fn a_thousand_come_in_and_all_hear_what_is_said() {
    const MANY: usize = 1_000;
    const SEEN: usize = 100;
    let house = House::with(&[("LIMITS_OUTBOX_BYTES", "64000000")]).await;
    let domain = stanza::DomainPart::new(DOMAIN).unwrap();
    let account = |number: usize| server::users::Users::address(&format!("guest{number}"), &domain).unwrap();
    // Twenty people with fifty devices each: signing in is not what is tested here.
    let people = (0..MANY / 50).map(|number| (account(number), NewAccount::new(crate::house::PASSWORD)));
    house.server.users().create_many(people, |_, made| drop(made.unwrap())).await;
    let mut romeo = house.online("romeo", "a").await;
    open(&mut romeo, ROOM, "Romeo").await;
    // That each sees each come is a million stanzas to read; a hundred show it as well.
    let mut guests = Vec::new();
    for number in 0..MANY {
        if number == SEEN {
            for nick in 0..SEEN {
                presence_of(&mut romeo, &format!("Guest{nick}")).await;
            }
            configure(&mut romeo, ROOM, &[("presencebroadcast", "moderator")]).await;
        }
        let mut guest = house.bind(&format!("guest{}", number % (MANY / 50)), &format!("d{number}")).await;
        knock(&mut guest, ROOM, &format!("Guest{number}"), "").await;
        guests.push(guest);
    }
    // The last is in, and so are all.
    guests[MANY - 1].find(|element| element.name() == "message").await;
    say(&mut romeo, "welcome").await;
    hear(&mut romeo, "welcome").await;
    hear(&mut guests[MANY - 1], "welcome").await;
    for (number, guest) in guests[..MANY - 1].iter_mut().enumerate() {
        let heard = hear(guest, "welcome").await;
        let seen = heard.iter().filter(|element| element.name() == "presence").count();
        let wanted = if number < SEEN { SEEN + 1 } else { 2 };
        assert_eq!(seen, wanted, "{number}");
    }
}
