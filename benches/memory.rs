//! How much memory a cached guest costs beyond what they are shown: fills the cabinet with guests from a stand-in that knows everybody.
//! `cargo bench --bench memory -- 1000000`

mod support;

use futures_util::StreamExt;
use guest_cabinet::clock::Clock;
use mimalloc::MiMalloc;
use support::{Everybody, config, guest, room, store, wish};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The process' resident memory, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

#[tokio::main]
async fn main() {
    let Some(count) = support::number() else {
        println!("say how many guests: cargo bench --bench memory -- 1000000");
        return;
    };
    let everybody = Everybody::start().await;
    let more = format!(
        "[cache]\ncapacity = {}\nprofile_fresh_ms = 86400000\nbalance_fresh_ms = 86400000\n",
        count * 2
    );
    let folder = tempfile::tempdir().expect("a folder");
    let cabinet = room(&config(&everybody, &more), store(&folder).await, &Clock::system());
    let fill = async |number: u64| {
        let guest = guest(number);
        let profile = cabinet.profile(&guest, wish()).await;
        let balance = cabinet.balance(&guest, wish()).await;
        [profile, balance]
            .into_iter()
            .map(|shown| shown.map_or(0, |shown| shown.ready.body().len() as u64))
            .sum::<u64>()
    };
    // Whatever is made once has been made.
    let _ = futures_util::stream::iter(0..2000)
        .map(fill)
        .buffer_unordered(64)
        .count()
        .await;
    let before = resident();
    let shown: u64 = futures_util::stream::iter(2000..2000 + count)
        .map(fill)
        .buffer_unordered(64)
        .fold(0, async |sum, bytes| sum + bytes)
        .await;
    let grown = resident().saturating_sub(before);
    println!(
        "{count} guests with profile and balance: {} MB; {} bytes a guest, of which {} are the answers' own",
        grown / 1_000_000,
        grown / count,
        shown / count
    );
}
