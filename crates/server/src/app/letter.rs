//! Letters to owners: invitations, links for new passwords, and what was done to their sign-in.
//!
//! Invariant: a letter's link begins with what the operator calls this gateway, whatever a request says; who
//! asks for a letter learns nothing about who is here. Not here: SMTP (`peers::mail`).

use crate::{
    app::{
        Error,
        actor::{Actor, Reach},
        admin::Admin,
        owner::email_of,
        session,
    },
    config::Config,
    gateway::StartError,
    state::App,
};
use rynjer_core::throttle::Throttle;
use rynjer_peers::mail::{MailSettings, Mailer};
use rynjer_store::{owner, throttle};
use std::net::IpAddr;
use tokio_util::task::TaskTracker;

/// What sends letters, if the operator named a server.
pub(crate) struct Letters {
    mailer: Option<Mailer>,
    under_way: TaskTracker,
}

impl Letters {
    /// Reads the settings; no server is asked yet.
    pub(crate) fn open(config: &Config) -> Result<Self, StartError> {
        let under_way = TaskTracker::new();
        if !config.smtp.is_on() {
            return Ok(Self { mailer: None, under_way });
        }
        let refused = |problem: String| StartError::Letters(problem);
        let password = match &config.smtp.password_file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                let read =
                    read.map_err(|error| refused(format!("{} can't be read: {error}", path.display())))?;
                read.trim_end_matches(['\r', '\n']).to_owned()
            }
            None => config.smtp.password.expose().to_owned(),
        };
        let (url, user, from) = (config.smtp.url.clone(), config.smtp.user.clone(), config.smtp.from.clone());
        let mailer = Mailer::open(&MailSettings { url, user, password, from });
        Ok(Self { mailer: Some(mailer.map_err(|error| refused(error.to_string()))?), under_way })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.mailer.is_some()
    }

    /// Waits for letters that are being sent.
    pub(crate) async fn close(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    async fn send(&self, to: &str, subject: &str, text: String) -> Result<(), Error> {
        let Some(mailer) = &self.mailer else { return Err(Error::NotFound) };
        mailer.send(to, subject, text).await.map_err(|error| {
            tracing::warn!(%error, "a letter could not be sent");
            Error::field("", "the letter could not be sent; the log has the cause")
        })
    }
}

/// Sends the link of an invitation.
pub(crate) async fn invite(app: &App, email: &str, link: &str) -> Result<(), Error> {
    let text = format!(
        "Hello,\n\nyou are invited to {}. Choose a password here within a week:\n\n{link}\n\n\
         Whoever opens the link first gets the account, so pass it on to nobody. If you expected no \
         invitation, forget this letter.\n",
        app.public_url()
    );
    app.letters.send(&email_of(email)?, "Your invitation", text).await
}

/// Tells somebody that an operator took their second step away; whether there is a server to send it by.
///
/// # Errors
/// Settings that can't be used; a server that does not take it.
pub async fn second_step_removed(config: &Config, email: &str) -> Result<bool, Error> {
    let letters = Letters::open(config).map_err(|error| Error::field("smtp", error.to_string()))?;
    if !letters.is_on() {
        return Ok(false);
    }
    let gateway = match config.server.public_url.as_str() {
        "" => "this gateway",
        url => url,
    };
    let text = format!(
        "Hello,\n\nthe operator of {gateway} took away the second step of your sign-in, and signed you out \
         everywhere. From now on your password alone signs you in: sign in and set the second step up again \
         under Security.\n\nIf you did not ask for this, choose a new password at once and tell the \
         operator.\n"
    );
    letters.send(email, "Your second step was removed", text).await.map(|()| true)
}

/// Sends a link for a new password to somebody who is here, and nothing to anybody else. The answer comes
/// before it is known which of the two it is.
pub(crate) async fn forgot(app: &App, email: &str, address: IpAddr) -> Result<(), Error> {
    if !app.letters.is_on() {
        return Err(Error::NotFound);
    }
    let (email, now_ms) = (email_of(email)?, app.now_ms());
    let subjects = [
        (format!("letter:{}", session::person(&email)), Throttle::LETTERS_TO),
        (format!("letter:{}", session::network(address)), Throttle::LETTERS_FROM),
    ];
    let counted = app.store.write(move |tx| {
        let mut waits = [None; 2];
        for (wait, (subject, limit)) in waits.iter_mut().zip(&subjects) {
            *wait = limit.wait_ms(throttle::get(tx, subject)?, now_ms);
        }
        if waits == [None; 2] {
            for (subject, limit) in &subjects {
                throttle::add(tx, subject, limit.since_ms(now_ms), now_ms, now_ms + limit.window_ms)?;
            }
        }
        Ok::<_, Error>(waits)
    });
    match counted.await? {
        [_, Some(wait_ms)] => Err(Error::TooManyGuesses { wait_s: session::whole_seconds(wait_ms) }),
        // They have letters enough; who asks is told the same.
        [Some(_), None] => Ok(()),
        [None, None] => {
            let (app, task) = (app.clone(), app.clone());
            app.letters.under_way.spawn(async move {
                if let Err(error) = send_reset(&task, email).await {
                    tracing::warn!(?error, "a link for a new password was not sent");
                }
            });
            Ok(())
        }
    }
}

async fn send_reset(app: &App, email: String) -> Result<(), Error> {
    let asked = email.clone();
    let found = app.store.read(move |tx| Ok::<_, Error>(owner::by_email(tx, &asked)?)).await?;
    let Some(row) = found.filter(|row| row.disabled_at_ms.is_none()) else { return Ok(()) };
    let hand = Admin::within(app, Actor::Gateway, Reach::All);
    let link = hand.reset_link(app.public_url(), &row.id).await?;
    let text = format!(
        "Hello,\n\nsomebody, probably you, asked for a new password at {}. Choose it here within an hour:\
         \n\n{link}\n\nIf it was not you, forget this letter: your password stays as it is.\n",
        app.public_url()
    );
    app.letters.send(&email, "Your new password", text).await
}
