//! What the server itself asks of others, on behalf of a domain or an account: IQs whose answers come back here.

use std::collections::HashMap;

use parking_lot::Mutex;
use stanza::{Jid, Stanza};
use tokio::sync::oneshot;

/// Questions that wait for their answers at once.
const MOST: usize = 10_000;

/// See the module.
#[derive(Default)]
pub struct Questions(Mutex<HashMap<Box<str>, Question>>);

struct Question {
    /// Whose answer it must be.
    of: Jid,
    answer: oneshot::Sender<Stanza>,
}

impl Questions {
    /// Waits for the answer to an IQ that is about to be sent. `None` when too many wait, or when it has no id or no
    /// recipient. Who drops the receiver ceases to wait.
    pub fn ask(&self, question: &Stanza) -> Option<oneshot::Receiver<Stanza>> {
        let (id, of) = (question.id.clone()?, question.to.clone()?);
        let mut waiting = self.0.lock();
        if waiting.len() >= MOST {
            waiting.retain(|_, question| !question.answer.is_closed());
        }
        if waiting.len() >= MOST {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        waiting.insert(id, Question { of, answer });
        Some(answered)
    }

    /// Takes in a result or an error; from anybody else than who was asked it is none.
    pub fn answer(&self, stanza: &Stanza) {
        let Some(id) = &stanza.id else { return };
        let mut waiting = self.0.lock();
        if waiting.get(id).is_some_and(|question| stanza.from.as_ref() == Some(&question.of))
            && let Some(question) = waiting.remove(id)
        {
            let _ = question.answer.send(stanza.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use stanza::Kind;

    use super::*;

    #[test]
    fn only_who_was_asked_answers_and_only_once() {
        let questions = Questions::default();
        let [push, other] = ["push.example", "other.example"].map(|jid| Jid::new(jid).unwrap());
        let question = Stanza::new(Kind::Iq).typed("set").with_id("q").addressed(push.clone());
        let mut answered = questions.ask(&question).unwrap();
        let answer = Stanza::new(Kind::Iq).typed("result").with_id("q");
        questions.answer(&answer.clone().sent_by(other));
        assert!(answered.try_recv().is_err());
        questions.answer(&answer.clone().sent_by(push.clone()));
        assert!(answered.try_recv().unwrap().is_type("result"));
        questions.answer(&answer.sent_by(push));
        assert!(questions.ask(&Stanza::new(Kind::Iq)).is_none());
    }
}
