//! Named guests for every state that a frontend must draw. All numbers are test numbers, all dates relative to now.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::Guest;
use super::book::{About, Account, Book, Coupon, Group, LIFE_DAYS, Lot, Pending};
use super::till::Purchase;

/// A named guest.
pub(super) struct Person {
    pub phone: &'static str,
    name: [&'static str; 3],
    gender: &'static str,
    born: (i16, i8, i8),
    note: &'static str,
    note_en: &'static str,
    state: State,
}

/// What is special about them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Rich,
    New,
    BurningTomorrow,
    Blocked,
    NoCoupons,
    TenThousand,
    TopLevel,
    NotSignedUp,
}

pub(super) const GUESTS: [Person; 8] = [
    Person {
        phone: "79160000001",
        name: ["Анна", "Смирнова", "Петровна"],
        gender: "female",
        born: (1990, 4, 12),
        note: "Всего понемногу: бонусы, купоны, история, чеки",
        note_en: "A bit of everything: bonuses, coupons, history, checks",
        state: State::Rich,
    },
    Person {
        phone: "79160000002",
        name: ["Борис", "Новиков", ""],
        gender: "male",
        born: (1998, 1, 30),
        note: "Только что пришёл: приветственные бонусы и больше ничего",
        note_en: "Brand new: welcome bonuses and nothing else",
        state: State::New,
    },
    Person {
        phone: "79160000003",
        name: ["Вера", "Кузнецова", "Ильинична"],
        gender: "female",
        born: (1985, 11, 3),
        note: "Часть бонусов сгорает завтра",
        note_en: "Some bonuses burn tomorrow",
        state: State::BurningTomorrow,
    },
    Person {
        phone: "79160000004",
        name: ["Григорий", "Орлов", ""],
        gender: "male",
        born: (1979, 6, 21),
        note: "Счёт заблокирован",
        note_en: "The account is blocked",
        state: State::Blocked,
    },
    Person {
        phone: "79160000005",
        name: ["Дарья", "Волкова", ""],
        gender: "female",
        born: (2001, 9, 9),
        note: "Нет купонов, бонусы ещё в пути",
        note_en: "No coupons, bonuses on their way",
        state: State::NoCoupons,
    },
    Person {
        phone: "79160000006",
        name: ["Евгений", "Соколов", "Андреевич"],
        gender: "male",
        born: (1982, 2, 28),
        note: "Десять тысяч операций в истории",
        note_en: "Ten thousand movements in the history",
        state: State::TenThousand,
    },
    Person {
        phone: "79160000007",
        name: ["Жанна", "Лебедева", "Сергеевна"],
        gender: "female",
        born: (1975, 12, 31),
        note: "Высший уровень",
        note_en: "The top level",
        state: State::TopLevel,
    },
    Person {
        phone: "79160000008",
        name: ["", "", ""],
        gender: "",
        born: (2000, 1, 1),
        note: "Счёта нет: регистрация",
        note_en: "No account: sign up",
        state: State::NotSignedUp,
    },
];

impl Person {
    pub fn guest(&self) -> Guest {
        Guest {
            name: if self.name[0].is_empty() {
                "Новый гость"
            } else {
                self.name[0]
            },
            phone: format!("+{}", self.phone),
            note: self.note,
            note_en: self.note_en,
        }
    }
}

/// The book as it is at the beginning.
pub(super) fn book(now: Timestamp, zone: &TimeZone) -> Book {
    let mut book = Book::new(vec![
        Group {
            id: 1,
            name: "Сотрудники",
            have_template: false,
            welcome: 0,
            welcome_days: 0,
        },
        Group {
            id: 3,
            name: "Самостоятельно зарегистрировавшиеся",
            have_template: true,
            welcome: 30_000,
            welcome_days: 30,
        },
    ]);
    for person in GUESTS.iter().filter(|person| person.state != State::NotSignedUp) {
        add(&mut book, person, now, zone);
    }
    book
}

fn add(book: &mut Book, person: &Person, now: Timestamp, zone: &TimeZone) {
    let id = book.id();
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (year, month, day) = person.born;
    book.accounts.insert(
        id,
        Account {
            id,
            group: 3,
            phone: person.phone.into(),
            first_name: text(person.name[0]),
            last_name: text(person.name[1]),
            middle_name: text(person.name[2]),
            birthday: Date::new(year, month, day).ok(),
            gender: Some(person.gender),
            email: Some(format!("guest{}@example.ru", &person.phone[9..])),
            cards: vec![format!("9000{}", &person.phone[7..])],
            ..Account::default()
        },
    );
    let today = now.to_zoned_datetime(zone.clone()).date();
    let ago = |days: i64| now.checked_sub((days * 24).hours()).unwrap_or(now);
    let in_days = |days: i64| today.checked_add(days.days()).unwrap_or(today);
    let welcome = |book: &mut Book, days: i64| {
        let about = About {
            comment: Some("Приветственные бонусы".into()),
            ..About::default()
        };
        book.move_bonuses(id, "accrual", 30_000, Some(in_days(30)), ago(days), about);
    };
    match person.state {
        State::New => welcome(book, 0),
        State::TenThousand => many(book, id, now, zone),
        State::TopLevel => meals(book, id, 60, 700_000, now, zone),
        State::NoCoupons => {
            meals(book, id, 3, 180_000, now, zone);
            if let Some(account) = book.accounts.get_mut(&id) {
                account.pending.push(Pending {
                    sum: 12_500,
                    from: in_days(3),
                    days: LIFE_DAYS,
                });
            }
        }
        _ => meals(book, id, 14, 310_000, now, zone),
    }
    let Some(account) = book.accounts.get_mut(&id) else {
        return;
    };
    account.blocked = person.state == State::Blocked;
    match person.state {
        State::Rich => account.pending.push(Pending {
            sum: 21_000,
            from: in_days(2),
            days: LIFE_DAYS,
        }),
        State::BurningTomorrow => {
            account.lots.sort_by_key(|lot| std::cmp::Reverse(lot.left));
            for (lot, days) in account.lots.iter_mut().zip([1, 7, 30]) {
                lot.burns_on = Some(in_days(days));
            }
        }
        State::TenThousand => account.lots = spread(account.balance(), today),
        _ => {}
    }
    if matches!(person.state, State::Rich | State::TopLevel | State::BurningTomorrow) {
        account.coupons = coupons(now);
    }
}

/// A balance as lots that burn month by month.
fn spread(balance: i64, today: Date) -> Vec<Lot> {
    let part = balance / 6;
    let lot = |month: i64| Lot {
        left: if month == 6 { balance - part * 5 } else { part },
        burns_on: today.checked_add((month * 30).days()).ok(),
    };
    (1..=6).map(lot).collect()
}

/// Meals over the last half year; now and then bonuses are paid with.
fn meals(book: &mut Book, id: i64, count: i64, money: i64, now: Timestamp, zone: &TimeZone) {
    for index in (0..count).rev() {
        let hours = (index * 170 * 24 / count.max(1)) + 20 + index % 5;
        let at = now.checked_sub(hours.hours()).unwrap_or(now);
        let balance = book.accounts.get(&id).map_or(0, Account::balance);
        let purchase = Purchase {
            money: money + (index * 7919) % 90_000,
            bonus_spent: if index % 4 == 2 { (balance / 3) / 100 * 100 } else { 0 },
            restaurant: 1 + index % 2,
            ..Purchase::default()
        };
        book.purchase(id, &purchase, at, zone);
    }
}

/// Ten thousand small movements over the last eleven months.
fn many(book: &mut Book, id: i64, now: Timestamp, zone: &TimeZone) {
    for index in (0..5001_i64).rev() {
        let at = now.checked_sub((index * 94 + 60).minutes()).unwrap_or(now);
        let balance = book.accounts.get(&id).map_or(0, Account::balance);
        let purchase = Purchase {
            money: 20_000 + index % 5_000,
            bonus_spent: (balance / 2).min(500),
            bonus_accrued: Some(510),
            restaurant: 1 + index % 2,
            ..Purchase::default()
        };
        book.purchase(id, &purchase, at, zone);
        if index % 500 == 0
            && let Some(account) = book.accounts.get_mut(&id)
        {
            // Thousands of lots of a few kopecks would only slow the burning down.
            let burns_on = account.lots.last().and_then(|lot| lot.burns_on);
            let left = account.balance();
            account.lots = vec![Lot { left, burns_on }];
        }
    }
}

fn coupons(now: Timestamp) -> Vec<Coupon> {
    let days = |days: i64| now.checked_add((days * 24).hours()).unwrap_or(now);
    vec![
        Coupon {
            id: 1,
            name: "Десерт в подарок",
            code: "SWEET-10",
            description: "К любому горячему блюду",
            from: days(-10),
            to: days(20),
            used: false,
        },
        Coupon {
            id: 2,
            name: "Скидка 10 % на обед",
            code: "LUNCH-10",
            description: "По будням с 12 до 16",
            from: days(-30),
            to: days(5),
            used: false,
        },
        Coupon {
            id: 3,
            name: "Бокал морса",
            code: "MORS-1",
            description: "Уже использован",
            from: days(-60),
            to: days(-1),
            used: true,
        },
    ]
}
