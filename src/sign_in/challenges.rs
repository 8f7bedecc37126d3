//! Challenges: a phone asks for a code, once and again, and looks how it fares. Judges no code.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::challenge_records::ChallengeRecords;
use super::codes::ChallengeId;
use super::devices::Devices;
use super::guess_limits::GuessLimits;
use super::networks::Networks;
use super::phones::Phones;
use super::review::{Review, ReviewNumbers};
use super::send_limits::{Asker, SendLimits, Spent};
use super::{ATTEMPTS, CHOSEN_ATTEMPTS, CHOSEN_DIGITS, CHOSEN_LIFE, CODE_LENGTH, SignInError};
use crate::clock::{Clock, micros};
use crate::delivery::{Delivery, DeliveryState, Order, Progress};
use crate::entropy::Entropy;
use crate::keys::Keys;
use crate::model::{Channel, Guest, Phone, Platform};
use crate::store::{ChallengeRow, SharedStore};

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

/// A message that was counted.
struct Counted {
    spent: Spent,
    is_known_device: bool,
}

pub(super) struct Challenges {
    /// Life of a challenge.
    pub life: Duration,
    pub records: ChallengeRecords,
    pub phones: Phones,
    pub devices: Arc<Devices>,
    pub networks: Arc<Networks>,
    pub sends: Arc<SendLimits>,
    pub guesses: Arc<GuessLimits>,
    pub review: Arc<ReviewNumbers>,
    pub delivery: Arc<Delivery>,
    pub keys: Arc<Keys>,
    pub store: SharedStore,
    pub clock: Clock,
    pub entropy: Entropy,
}

impl Challenges {
    /// Makes a challenge and leaves its message to be sent. The same for every phone; ProBonus is not asked.
    ///
    /// # Errors
    /// A limit, an unknown channel, or the store.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Asked, SignInError> {
        let channel = self.choose_channel(ask.channel)?;
        let review = self.review.find(&ask.phone, ask.ip, self.clock.now());
        self.check_gateways(channel, review)?;
        let guest = self.phones.guest(ask.phone.clone());
        self.guesses.check_phone(guest.key, &self.networks.of(ask.ip)).await?;
        let counted = self.count_message(&guest, ask.ip, ask.device_token, review).await?;
        let id = ChallengeId::new(&self.entropy);
        let code = review.map_or_else(|| id.code(&self.keys), |review| review.code().clone());
        let row = self.new_row(&id, &guest, &ask, (channel, review, &code), counted.spent.next_us);
        self.store.add_challenge(&row, self.clock.now_us()).await?;
        tracing::info!(target: "security", event = "challenge_created", guest = ?guest.key, channel = channel.as_str());
        metrics::counter!("cabinet_sign_in_total", "event" => "challenge_created").increment(1);
        self.send(&row, &guest.phone, code, (channel, review), ask.ip, counted)
            .await?;
        Ok(self.asked(id, &row, &guest.phone, review))
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
        let (mut row, guest) = self.records.find(id).await?;
        let channel = self.choose_channel(channel.or_else(|| Channel::named(&row.channel)))?;
        let review = self.review.of_challenge(id, &row, &guest.phone, &self.keys);
        // A call whose digits could no longer be tried is not made.
        if channel == Channel::FlashCall && row.attempts >= i64::from(CHOSEN_ATTEMPTS) {
            return Err(SignInError::ChallengeInvalid);
        }
        self.check_gateways(channel, review)?;
        let counted = self.count_message(&guest, ip, device_token, review).await?;
        channel.as_str().clone_into(&mut row.channel);
        row.resend_at_us = counted.spent.next_us;
        let now_us = self.clock.now_us();
        let noted = self
            .store
            .challenge_sent(&row.id_tag, &row.channel, row.resend_at_us, ATTEMPTS.into(), now_us);
        row.attempts = noted.await?.ok_or(SignInError::ChallengeInvalid)?;
        tracing::info!(target: "security", event = "code_resent", guest = ?guest.key, channel = channel.as_str());
        let code = match review {
            Some(review) => review.code().clone(),
            None => id
                .sent_code(&self.keys, &row.code_tag)
                .ok_or(SignInError::ChallengeInvalid)?,
        };
        self.send(&row, &guest.phone, code, (channel, review), ip, counted)
            .await?;
        Ok(self.asked(id.clone(), &row, &guest.phone, review))
    }

    /// How a living challenge stands.
    ///
    /// # Errors
    /// A dead challenge, or the store.
    pub async fn look(&self, id: &ChallengeId) -> Result<(Asked, Progress), SignInError> {
        let (mut row, guest) = self.records.find(id).await?;
        let progress = self.delivery.progress(&row.id_tag).await?;
        let progress = progress.unwrap_or(Progress {
            state: DeliveryState::Queued,
            dial: None,
        });
        if progress.state == DeliveryState::Failed {
            // It may have failed since the challenge was read: its cooldown is over then.
            row = self.records.find(id).await?.0;
        }
        let review = self.review.of_challenge(id, &row, &guest.phone, &self.keys);
        Ok((self.asked(id.clone(), &row, &guest.phone, review), progress))
    }

    fn new_row(
        &self,
        id: &ChallengeId,
        guest: &Guest,
        ask: &Ask<'_>,
        (channel, review, code): (Channel, Option<Review<'_>>, &SecretString),
        resend_at_us: i64,
    ) -> ChallengeRow {
        let id_tag = id.tags(&self.keys).0.to_vec();
        let life = match channel {
            Channel::FlashCall => self.life.min(CHOSEN_LIFE),
            _ => self.life,
        };
        let expires_at_us = self.clock.now_us().saturating_add(micros(life));
        // The fixed code of a review is worth nothing beyond its last day.
        let review_ends_us = review.map_or(i64::MAX, |review| review.ends_at().as_microsecond());
        ChallengeRow {
            phone_sealed: self.phones.seal(&id_tag, &guest.phone),
            asked_from: Some(self.records.seal_address(&id_tag, ask.ip)),
            id_tag,
            guest: guest.key,
            code_tag: id.code_tag(&self.keys, code.expose_secret()).to_vec(),
            channel: channel.as_str().to_owned(),
            platform: ask.platform.as_str().to_owned(),
            language: ask.language.to_owned(),
            attempts: 0,
            expires_at_us: expires_at_us.min(review_ends_us),
            resend_at_us,
            is_confirmed: false,
            chosen_digits: None,
        }
    }

    /// Counts the message against whatever it uses up.
    async fn count_message(
        &self,
        guest: &Guest,
        ip: IpAddr,
        device_token: Option<&str>,
        review: Option<Review<'_>>,
    ) -> Result<Counted, SignInError> {
        let asker = Asker {
            guest,
            caller: &self.networks.of(ip),
            is_known_device: self.devices.is_known(device_token, guest).await?,
        };
        if review.is_some() {
            tracing::warn!(target: "security", event = "test_phone_used", guest = ?guest.key);
        }
        let now_us = self.clock.now_us();
        let spent = match review {
            Some(review) if review.is_for_reviewers_only() => self.sends.spend_of_review(asker, now_us).await?,
            _ => self.sends.spend(asker, now_us).await?,
        };
        Ok(Counted {
            spent,
            is_known_device: asker.is_known_device,
        })
    }

    async fn send(
        &self,
        row: &ChallengeRow,
        phone: &Phone,
        code: SecretString,
        (channel, review): (Channel, Option<Review<'_>>),
        ip: IpAddr,
        counted: Counted,
    ) -> Result<(), SignInError> {
        // Whoever calls us costs nothing and is told nothing: such a number is not told from others even by its call.
        let is_called = channel == Channel::GuestCall;
        let order = Order {
            challenge: row.id_tag.clone(),
            cooldown: Some(counted.spent.pause_key),
            phone: phone.clone(),
            code,
            channel,
            platform: Platform::named(&row.platform),
            language: if row.language == "en" { "en" } else { "ru" },
            ip: Some(ip),
            is_known_device: counted.is_known_device,
            is_pretended: review.is_some_and(|review| review.is_for_reviewers_only() || !is_called),
            expires_at: Timestamp::from_microsecond(row.expires_at_us).unwrap_or(Timestamp::MAX),
        };
        Ok(self.delivery.enqueue(order).await?)
    }

    fn asked(&self, id: ChallengeId, row: &ChallengeRow, phone: &Phone, review: Option<Review<'_>>) -> Asked {
        let now_us = self.clock.now_us();
        let until = |us: i64| Duration::from_micros(u64::try_from(us - now_us).unwrap_or(0));
        let channel = Channel::named(&row.channel).unwrap_or(Channel::Sms);
        let (code_length, most) = match channel {
            Channel::FlashCall => (CHOSEN_DIGITS, CHOSEN_ATTEMPTS),
            // A reviewer cannot call from the number, and types its fixed code.
            Channel::GuestCall if review.is_some_and(Review::is_for_reviewers_only) => (CODE_LENGTH, ATTEMPTS),
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

    fn choose_channel(&self, channel: Option<Channel>) -> Result<Channel, SignInError> {
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
    fn check_gateways(&self, channel: Channel, review: Option<Review<'_>>) -> Result<(), SignInError> {
        let needs_none = review.is_some_and(Review::is_for_reviewers_only);
        match self.delivery.closed_for(channel).filter(|_| !needs_none) {
            Some(retry_after) => Err(SignInError::DeliveryUnavailable { retry_after }),
            None => Ok(()),
        }
    }
}
