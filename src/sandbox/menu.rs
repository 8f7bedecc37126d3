//! Dishes for checks, so that receipts look like receipts.

use super::book::Dish;

const MENU: [(&str, i64); 12] = [
    ("Борщ с пампушкой", 49_000),
    ("Пельмени сибирские", 62_000),
    ("Салат «Оливье»", 41_000),
    ("Котлета по-киевски", 78_000),
    ("Уха по-царски", 59_000),
    ("Бефстроганов", 89_000),
    ("Винегрет", 35_000),
    ("Блины с икрой", 95_000),
    ("Морс клюквенный", 25_000),
    ("Чай с чабрецом", 22_000),
    ("Медовик", 38_000),
    ("Хлебная корзина", 19_000),
];

/// A table's dishes, the same for the same number; their sum is `total` when that is given.
pub(super) fn dishes(number: i64, total: Option<i64>) -> Vec<Dish> {
    let count = 2 + usize::try_from(number.rem_euclid(4)).unwrap_or(0);
    let mut dishes: Vec<Dish> = (0..count)
        .map(|index| {
            let at = usize::try_from(number.rem_euclid(97)).unwrap_or(0) + index * 5;
            let (name, price) = MENU[at % MENU.len()];
            let half = index == 1 && number % 5 == 0;
            Dish {
                name: name.to_owned(),
                quantity: if half { 1500 } else { 1000 },
                price,
                discount: 0,
            }
        })
        .collect();
    if let Some(total) = total {
        // One dish that costs what is left makes the sum right.
        dishes.truncate(3);
        while dishes.iter().map(Dish::sum).sum::<i64>() > total {
            dishes.pop();
        }
        let rest = total - dishes.iter().map(Dish::sum).sum::<i64>();
        if rest > 0 {
            dishes.push(Dish {
                name: "Блюдо дня".into(),
                quantity: 1000,
                price: rest,
                discount: 0,
            });
        }
    }
    dishes
}
