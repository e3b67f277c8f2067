//! A vendor that means ill, or was taken over: where it sends us for its files, and how much it sends.
//!
//! Invariant: nothing inside is reached, the price goes back whole, what the vendor may bill is our loss, and
//! the next task is made. Not here: URLs that agents name (`input`), the guard alone (`rynjer-providers`).

use crate::support::{
    files_below,
    hostile::{AT, Hostile},
    until,
    vendor::{LIVE_CREDITS, Vendors, picture},
    web::Web,
};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

const SETTINGS: &str = "[worker]\nlease_seconds = 3600\n";

/// The most that is taken of two pictures without an end, one of which begins as none, with what waits in
/// sockets.
const TAKEN_BYTES_MAX: usize = 80 << 20;

fn prompted(id: &str, prompt: &str) -> Value {
    let mut body = picture(id, 1);
    body["prompt"] = json!(prompt);
    body
}

/// The most memory that this process has had, in KiB; 0 where the system does not tell.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// A gateway whose vendor is hostile, and what a picture costs there.
async fn start(hostile: &Hostile) -> (Vendors, i64) {
    let vendors = Vendors::with(&[], &format!("{SETTINGS}{}", hostile.settings())).await;
    let price = vendors.made(&prompted("first", "a picture")).await["credits"]["charged"].as_i64();
    (vendors, price.expect("credits"))
}

/// Places inside, as a vendor may name them. `port` is that of a server which must not be reached.
fn inside(port: u16) -> Vec<String> {
    let hosts = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"];
    let mut all: Vec<String> = hosts.iter().map(|host| format!("http://{host}:{port}/secret")).collect();
    let others = [
        "http://10.0.0.1/a.png",
        "http://172.16.0.1/a.png",
        "http://192.168.0.1/a.png",
        "http://100.64.0.1/a.png",
        "http://169.254.1.1/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://[fe80::1]/a.png",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.png",
        "gopher://127.0.0.1/a",
        "data:image/png;base64,AAAA",
    ];
    all.extend(others.map(str::to_owned));
    all
}

/// Every task fails with everything given back, and the vendor's price on our side.
async fn refused(vendors: &Vendors, price: i64, urls: &[String]) {
    let peak_before = peak_kib();
    let ask = |(number, url): (usize, &String)| {
        let (live, body) = (vendors.live.clone(), prompted(&format!("u-{number}"), &format!("{AT}{url}")));
        let url = url.clone();
        async move {
            let began = Instant::now();
            live.generate(&body).await;
            let task = live.finish(body["request_id"].as_str().expect("an id")).await;
            (url, began.elapsed(), task)
        }
    };
    for (url, took, task) in join_all(urls.iter().enumerate().map(ask)).await {
        println!("{:>5} ms {url}", took.as_millis());
        assert_eq!(task["error"]["error"], "provider_failed", "{url} {task}");
        assert!(!task.to_string().contains("secret"), "{task}");
        let back = json!({"held": 0, "charged": 0, "released": price, "refunded": 0});
        assert_eq!(task["credits"], back, "{url} {task}");
    }
    println!("peak memory {} KiB more", peak_kib() - peak_before);
    let loss = price * i64::try_from(urls.len()).expect("few");
    assert_eq!(vendors.books().await, (LIVE_CREDITS - price, 0, loss));
    let good = vendors.made(&prompted("good", "a picture")).await;
    assert_eq!(good["status"], "success", "{good}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_inside_is_fetched_for_a_vendor() {
    let secret = Web::new(vec![("/secret", "200 OK".to_owned(), b"secret".to_vec())]);
    let hostile = Hostile::start(Vec::new()).await;
    let (vendors, price) = start(&hostile).await;
    let mut urls = inside(secret.address.port());
    // Its own port by another name is not what the operator named.
    urls.push(format!("http://localhost:{}/files/picture.png", hostile.address.port()));
    urls.push(format!("http://user:secret@{}/files/picture.png", hostile.address));
    refused(&vendors, price, &urls).await;
    assert_eq!(secret.came(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_redirect_of_a_vendor_leads_inside() {
    let secret = Web::new(vec![("/secret", "200 OK".to_owned(), b"secret".to_vec())]);
    let mut places = inside(secret.address.port());
    let forbidden = places.len();
    places.push(format!("/moved/{}", places.len()));
    let hostile = Hostile::start(places.clone()).await;
    let (vendors, price) = start(&hostile).await;
    let urls: Vec<String> =
        (0..places.len()).map(|number| hostile.url(&format!("/moved/{number}"))).collect();
    refused(&vendors, price, &urls).await;
    assert_eq!(secret.came(), 0);
    // What is forbidden is tried once. What leads in a circle may be a server that stumbles: three times, of
    // six hops each.
    assert_eq!(hostile.redirects(), forbidden + 3 * 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_a_bomb_is_refused() {
    let hostile = Hostile::start(Vec::new()).await;
    let (vendors, price) = start(&hostile).await;
    let files =
        ["bomb", "empty-bomb", "gzip", "endless", "endless-jpeg", "short", "terabytes", "page", "none"];
    let urls: Vec<String> = files.iter().map(|name| hostile.url(&format!("/files/{name}.png"))).collect();
    refused(&vendors, price, &urls).await;
    let taken = hostile.endless_bytes();
    assert!(taken <= TAKEN_BYTES_MAX, "{taken}");
    let fine = prompted("fine", &format!("{AT}{}", hostile.url("/files/picture.png")));
    assert_eq!(vendors.made(&fine).await["status"], "success");
}

/// The limit for files whose length is known is half a gibibyte: what may have no end is stopped long before,
/// and what can't fit into the length that was declared at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_without_an_end_is_refused_long_before_the_limit() {
    let hostile = Hostile::start(Vec::new()).await;
    let vendors = Vendors::with(&[], &format!("{SETTINGS}{}", hostile.clip_settings())).await;
    let mut taken_before = 0;
    for (name, taken_max) in [("open-end", 96 << 20), ("many-boxes", 96 << 20), ("beyond", 16 << 20)] {
        let (peak_before, began) = (peak_kib(), Instant::now());
        let model = "xai/grok-imagine-video/text-to-video";
        vendors.live.generate(&json!({"request_id": name, "model": model, "prompt": name})).await;
        let task = vendors.finish(name).await;
        let (taken, more) = (hostile.endless_bytes() - taken_before, peak_kib() - peak_before);
        println!(
            "{:>5} ms {name}: {taken} bytes taken, peak memory {more} KiB more",
            began.elapsed().as_millis()
        );
        assert_eq!(task["error"]["error"], "provider_failed", "{task}");
        assert_eq!((&task["credits"]["held"], &task["credits"]["charged"]), (&json!(0), &json!(0)));
        assert!(taken <= taken_max, "{name}: {taken} bytes taken");
        assert!(more <= 64 << 10, "{name}: {more} KiB");
        taken_before = hostile.endless_bytes();
    }
    assert!(files_below(&vendors.app.data_dir().join("outputs")).is_empty());
}

/// The picture was made, for all that anybody knows: our loss, and never asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_a_bomb_is_a_doubt() {
    let hostile = Hostile::start(Vec::new()).await;
    let (vendors, price) = start(&hostile).await;
    let answers = [
        "json without an end",
        "json that stops and stays",
        "json of 60 MB",
        "json that says more bytes than it has",
        "json that says terabytes",
        "json in gzip",
    ];
    for (number, prompt) in answers.iter().enumerate() {
        let (peak_before, began) = (peak_kib(), Instant::now());
        vendors.live.generate(&prompted(&format!("j-{number}"), prompt)).await;
        let doubtful = i64::try_from(number + 1).expect("few");
        until("it is in doubt", async || (vendors.at_step("unknown").await == doubtful).then_some(())).await;
        let (took, more) = (began.elapsed(), peak_kib() - peak_before);
        println!("{:>5} ms {prompt}, peak memory {more} KiB more", took.as_millis());
        let good = vendors.made(&prompted(&format!("good-{number}"), "a picture")).await;
        assert_eq!(good["status"], "success", "{good}");
    }
    vendors.run_out().await;
    for number in 0..answers.len() {
        let task = vendors.live.poll(&format!("j-{number}")).await;
        assert_eq!(task["error"]["error"], "outcome_unknown", "{task}");
    }
    let tasks = i64::try_from(answers.len()).expect("few");
    assert_eq!(vendors.books().await, (LIVE_CREDITS - price * (tasks + 1), 0, price * tasks));
}
