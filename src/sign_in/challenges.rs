//! Challenges: a phone asks for a code and gives it back.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::codes::{self, ChallengeId};
use super::limits::WrongCodes;
use super::sessions::{Device, Grant, SessionKind};
use super::{
    ATTEMPTS, AccountState, CHOSEN_ATTEMPTS, CHOSEN_DIGITS, CHOSEN_LIFE, CODE_LENGTH, PROBE_TIME, SignIn, SignInError,
};
use crate::clock::{Deadline, micros};
use crate::config::TestPhone;
use crate::delivery::{DeliveryState, Order, Progress};
use crate::keys::Purpose;
use crate::model::{Channel, Guest, GuestKey, Phone, Platform};
use crate::store::{ChallengeRow, Try};

/// Who asks for a code, and how it should come.
pub struct Ask<'a> {
    /// The phone.
    pub phone: Phone,
    /// By which channel; when not said, the first offered one that works now.
    pub channel: Option<Channel>,
    /// For which platform.
    pub platform: Platform,
    /// `ru` or `en`.
    pub language: &'static str,
    /// From where.
    pub ip: IpAddr,
    /// What a device that signed in before carries.
    pub device_token: Option<&'a str>,
}

/// A challenge as its asker sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its id, the asker's secret.
    pub id: ChallengeId,
    /// The phone, masked.
    pub masked_phone: String,
    /// By which channel the last message went.
    pub channel: Channel,
    /// Channels offered.
    pub channels: Vec<Channel>,
    /// How long it lives on.
    pub expires_in: Duration,
    /// How long until the next message may go.
    pub resend_in: Duration,
    /// Tries left.
    pub attempts_left: u32,
    /// Digits to be typed; none when the guest's call stands for them.
    pub code_length: u32,
}

/// A code given back.
pub struct Verify<'a> {
    /// The challenge.
    pub id: &'a ChallengeId,
    /// Six digits, or the last four of the number that called; may be empty when the guest's own call stands for them.
    pub code: &'a str,
    /// Which kind of session is wanted.
    pub kind: SessionKind,
    /// What the guest calls the device.
    pub device_name: Option<String>,
    /// From where.
    pub ip: IpAddr,
    /// What a device that signed in before carries.
    pub device_token: Option<&'a str>,
}

/// A proven phone.
pub struct Verified {
    /// The session's tokens.
    pub grant: Grant,
    /// For the next time this device asks for a code.
    pub device_token: String,
    /// Whether there is an account.
    pub account_state: AccountState,
}

impl SignIn {
    /// Makes a challenge and leaves its message to be sent. The same for every phone; ProBonus is not asked.
    ///
    /// # Errors
    /// A limit, an unknown channel, or the store.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Asked, SignInError> {
        let channel = self.offered(ask.channel)?;
        let guest = self.guest(ask.phone.clone());
        let test = self.test_phone(&ask.phone);
        self.can_send(channel, test.is_some())?;
        let next_us = self.spend(&guest, ask.ip, ask.device_token, test.is_some()).await?;
        let id = ChallengeId::new(&self.entropy);
        let code = test.map_or_else(|| id.code(&self.keys), |test| test.code.clone());
        let now_us = self.clock.now_us();
        let id_tag = id.tags(&self.keys).0.to_vec();
        let life = match channel {
            Channel::FlashCall if test.is_none() => self.config.challenge_ttl.min(CHOSEN_LIFE),
            _ => self.config.challenge_ttl,
        };
        let row = ChallengeRow {
            phone_sealed: self.seal_phone(&id_tag, &guest.phone),
            id_tag,
            guest: guest.key,
            code_tag: id.code_tag(&self.keys, code.expose_secret()).to_vec(),
            channel: channel.as_str().to_owned(),
            platform: ask.platform.as_str().to_owned(),
            language: ask.language.to_owned(),
            attempts: 0,
            // The fixed code of a test number is worth nothing beyond its day.
            expires_at_us: now_us
                .saturating_add(micros(life))
                .min(test.map_or(i64::MAX, |test| test.valid_until.as_microsecond())),
            resend_at_us: next_us.0,
            is_confirmed: false,
            chosen_digits: None,
        };
        self.store.add_challenge(&row, now_us).await?;
        tracing::info!(target: "security", event = "challenge_created", guest = ?guest.key, channel = channel.as_str());
        metrics::counter!("cabinet_sign_in_total", "event" => "challenge_created").increment(1);
        if test.is_none() {
            self.send(&row, &guest.phone, code, channel, ask.ip, next_us).await?;
        }
        Ok(self.asked(id, &row, &guest.phone, channel))
    }

    /// Sends the same code once more.
    ///
    /// # Errors
    /// A dead challenge, a limit, an unknown channel, or the store.
    pub async fn resend(
        &self,
        id: &ChallengeId,
        channel: Option<Channel>,
        ip: IpAddr,
        device_token: Option<&str>,
    ) -> Result<Asked, SignInError> {
        let (mut row, phone) = self.living(id).await?;
        let channel = self.offered(channel.or_else(|| Channel::named(&row.channel)))?;
        let guest = self.guest(phone.clone());
        let test = self.test_phone(&phone).is_some();
        // A call whose digits could no longer be tried is not made.
        if channel == Channel::FlashCall && row.attempts >= i64::from(CHOSEN_ATTEMPTS) && !test {
            return Err(SignInError::ChallengeInvalid);
        }
        self.can_send(channel, test)?;
        let next = self.spend(&guest, ip, device_token, test).await?;
        row.resend_at_us = next.0;
        let now_us = self.clock.now_us();
        let noted = self
            .store
            .challenge_sent(&row.id_tag, channel.as_str(), next.0, ATTEMPTS.into(), now_us);
        row.attempts = noted.await?.ok_or(SignInError::ChallengeInvalid)?;
        tracing::info!(target: "security", event = "code_resent", guest = ?guest.key, channel = channel.as_str());
        if !test {
            let code = id
                .sent_code(&self.keys, &row.code_tag)
                .ok_or(SignInError::ChallengeInvalid)?;
            self.send(&row, &phone, code, channel, ip, next).await?;
        }
        Ok(self.asked(id.clone(), &row, &phone, channel))
    }

    /// How a living challenge stands.
    ///
    /// # Errors
    /// A dead challenge, or the store.
    pub async fn challenge(&self, id: &ChallengeId) -> Result<(Asked, Progress), SignInError> {
        let (mut row, phone) = self.living(id).await?;
        let without_message = |state| Progress { state, dial: None };
        let progress = if self.test_phone(&phone).is_some() {
            without_message(DeliveryState::Delivered)
        } else {
            let progress = self.delivery.progress(&row.id_tag).await?;
            progress.unwrap_or_else(|| without_message(DeliveryState::Queued))
        };
        if progress.state == DeliveryState::Failed {
            // It may have failed since the challenge was read: its cooldown is over then.
            row = self.living(id).await?.0;
        }
        let channel = Channel::named(&row.channel).unwrap_or(Channel::Sms);
        Ok((self.asked(id.clone(), &row, &phone, channel), progress))
    }

    /// Takes a code back: the right one opens a session, once.
    ///
    /// # Errors
    /// A dead challenge, a wrong code, a limit, or the store.
    pub async fn verify(&self, verify: Verify<'_>) -> Result<Verified, SignInError> {
        let (row, phone) = self.living(verify.id).await?;
        let guest = self.guest(phone);
        let (right, most) = self.is_proof(&verify, &row)?;
        let (tried, limits) = self.count_try(&verify, &row, &guest, (right, most)).await?;
        match tried {
            Try::Dead => return Err(SignInError::ChallengeInvalid),
            Try::Limited { index, ends_at_us } => {
                return Err(limits.exhausted(index, ends_at_us, self.clock.now_us()));
            }
            Try::Counted { attempts } => {
                tracing::info!(target: "security", event = "code_wrong", guest = ?guest.key, attempts);
                metrics::counter!("cabinet_sign_in_total", "event" => "code_wrong").increment(1);
                let attempts_left = most.saturating_sub(u32::try_from(attempts).unwrap_or(most));
                return Err(SignInError::CodeIncorrect { attempts_left });
            }
            Try::Consumed => {}
        }
        if self.test_phone(&guest.phone).is_some() {
            tracing::warn!(target: "security", event = "test_phone_used", guest = ?guest.key);
        } else {
            self.give_back_range(&guest.phone).await;
        }
        let device_token = codes::device_token(&self.keys, &self.entropy, &guest.phone);
        let device = Device {
            name: verify.device_name,
        };
        let grant = self.open_session(&guest, verify.kind, &device).await?;
        tracing::info!(target: "security", event = "signed_in", guest = ?guest.key, session = %grant.session.0);
        metrics::counter!("cabinet_sign_in_total", "event" => "signed_in").increment(1);
        let deadline = Deadline::within(PROBE_TIME);
        let probed = tokio::time::timeout_at(deadline.instant(), self.probe.account_state(&guest, deadline)).await;
        Ok(Verified {
            grant,
            device_token,
            account_state: probed.unwrap_or(AccountState::Unresolved),
        })
    }

    /// Consumes the challenge or counts a wrong code. A device that signed in before has a reserve behind the limits that strangers can
    /// exhaust.
    async fn count_try(
        &self,
        verify: &Verify<'_>,
        row: &ChallengeRow,
        guest: &Guest,
        (right, most): (bool, u32),
    ) -> Result<(Try, WrongCodes), SignInError> {
        let now_us = self.clock.now_us();
        let usual = self.wrong_code_limits(&guest.key, verify.ip);
        let try_against = async |limits: &WrongCodes| {
            self.store
                .try_code(&row.id_tag, right, most.into(), &limits.limits(), now_us)
                .await
        };
        let tried = try_against(&usual).await?;
        let device = || codes::device_of(&self.keys, verify.device_token?, &guest.phone);
        if let (Try::Limited { .. }, Some(device)) = (tried, device()) {
            let reserve = self.wrong_code_reserve(&device);
            return Ok((try_against(&reserve).await?, reserve));
        }
        Ok((tried, usual))
    }

    /// Whether what was given back proves the phone, and of how many tries this is one: our code, the digits that a gateway chose, or any
    /// once the guest's own call came.
    fn is_proof(&self, verify: &Verify<'_>, row: &ChallengeRow) -> Result<(bool, u32), SignInError> {
        if row.is_confirmed {
            return Ok((true, ATTEMPTS));
        }
        if verify.code.is_empty() {
            return Err(SignInError::CodeMissing);
        }
        if verify.code.len() != CHOSEN_DIGITS as usize {
            return Ok((verify.id.is_code(&self.keys, verify.code, &row.code_tag), ATTEMPTS));
        }
        let tag = row.chosen_digits.as_deref().ok_or(SignInError::CodeMalformed)?;
        let right = self.delivery.are_chosen_digits(&row.id_tag, verify.code, tag);
        Ok((right, CHOSEN_ATTEMPTS))
    }

    async fn living(&self, id: &ChallengeId) -> Result<(ChallengeRow, Phone), SignInError> {
        let now_us = self.clock.now_us();
        let (tag, previous) = id.tags(&self.keys);
        let mut row = self.store.challenge(&tag, ATTEMPTS.into(), now_us).await?;
        if let (None, Some(previous)) = (&row, previous) {
            row = self.store.challenge(&previous, ATTEMPTS.into(), now_us).await?;
        }
        let row = row.ok_or(SignInError::ChallengeInvalid)?;
        let phone = self
            .open_phone(&row.id_tag, &row.phone_sealed)
            .ok_or(SignInError::ChallengeInvalid)?;
        Ok((row, phone))
    }

    /// Counts the message; says when the next may go, and by which keys its cooldowns are kept.
    async fn spend(
        &self,
        guest: &Guest,
        ip: IpAddr,
        device_token: Option<&str>,
        test: bool,
    ) -> Result<(i64, Option<Vec<u8>>), SignInError> {
        if test {
            tracing::warn!(target: "security", event = "test_phone_used", guest = ?guest.key);
            return Ok((self.clock.now_us(), None));
        }
        let device = device_token.and_then(|token| codes::device_of(&self.keys, token, &guest.phone));
        let spent = self.spend_message(guest, ip, device).await?;
        Ok((spent.next_us, Some(spent.cooldown_keys)))
    }

    async fn send(
        &self,
        row: &ChallengeRow,
        phone: &Phone,
        code: SecretString,
        channel: Channel,
        ip: IpAddr,
        (_, cooldown): (i64, Option<Vec<u8>>),
    ) -> Result<(), SignInError> {
        let order = Order {
            challenge: row.id_tag.clone(),
            cooldown,
            phone: phone.clone(),
            code,
            channel,
            platform: Platform::named(&row.platform),
            language: if row.language == "en" { "en" } else { "ru" },
            ip: Some(ip),
            expires_at: Timestamp::from_microsecond(row.expires_at_us).unwrap_or(Timestamp::MAX),
        };
        Ok(self.delivery.enqueue(order).await?)
    }

    fn asked(&self, id: ChallengeId, row: &ChallengeRow, phone: &Phone, channel: Channel) -> Asked {
        let now_us = self.clock.now_us();
        let until = |us: i64| Duration::from_micros(u64::try_from(us - now_us).unwrap_or(0));
        let (code_length, most) = match channel {
            // Its fixed code is typed, whatever channel was asked for.
            _ if self.test_phone(phone).is_some() => (CODE_LENGTH, ATTEMPTS),
            Channel::FlashCall => (CHOSEN_DIGITS, CHOSEN_ATTEMPTS),
            Channel::GuestCall => (0, ATTEMPTS),
            _ => (CODE_LENGTH, ATTEMPTS),
        };
        Asked {
            id,
            masked_phone: phone.masked(),
            channel,
            channels: self.delivery.channels().to_vec(),
            expires_in: until(row.expires_at_us),
            resend_in: until(row.resend_at_us),
            attempts_left: most.saturating_sub(u32::try_from(row.attempts).unwrap_or(most)),
            code_length,
        }
    }

    fn offered(&self, channel: Option<Channel>) -> Result<Channel, SignInError> {
        let offered = self.delivery.channels();
        match channel {
            None => {
                let works = |channel: &&Channel| self.delivery.closed_for(**channel).is_none();
                let first = offered.iter().find(works).or(offered.first());
                first.copied().ok_or(SignInError::ChannelNotOffered)
            }
            Some(channel) if offered.contains(&channel) => Ok(channel),
            Some(_) => Err(SignInError::ChannelNotOffered),
        }
    }

    /// Refuses at once, before anything is counted, what no gateway would be asked to send now.
    fn can_send(&self, channel: Channel, test: bool) -> Result<(), SignInError> {
        match self.delivery.closed_for(channel).filter(|_| !test) {
            Some(retry_after) => Err(SignInError::DeliveryUnavailable { retry_after }),
            None => Ok(()),
        }
    }

    fn test_phone(&self, phone: &Phone) -> Option<&TestPhone> {
        let now = self.clock.now();
        self.config
            .test_phones
            .iter()
            .find(|test| test.phone == *phone && now < test.valid_until)
    }

    pub(super) fn guest(&self, phone: Phone) -> Guest {
        let key = GuestKey(self.keys.mac(Purpose::PhoneFingerprint, &[phone.e164().as_bytes()]));
        Guest { key, phone }
    }

    /// A copy of the phone that only the row `row` can be read with: moved into another guest's row, it opens nothing.
    pub(super) fn seal_phone(&self, row: &[u8], phone: &Phone) -> Vec<u8> {
        self.keys.seal(Purpose::PhoneSeal, row, phone.e164().as_bytes())
    }

    pub(super) fn open_phone(&self, row: &[u8], sealed: &[u8]) -> Option<Phone> {
        super::open_phone(&self.keys, row, sealed)
    }
}
