//! Measures Rust engines on the corpus that the Go program beside it has
//! written: events.jsonl (one flat object a line), groups.tsv (for each event
//! the number of its group), rules.tsv (group, rule ids), want.tsv (event, rule
//! ids that match), rules/ID.yml, logs.txt (event logs). One core, CPU time.
//!
//! Every engine gets for each event only the rules whose log source fits, as the
//! Go engines do: routing is done beforehand and not counted.

use std::collections::{HashMap, HashSet};
use std::{env, fs, time::Duration};

use evtx::{EvtxParser, ParserSettings};
use rsigma_eval::Engine;
use rsigma_eval::event::JsonEvent;
use rsigma_parser::parse_sigma_yaml;

type Error = Box<dyn std::error::Error>;

struct Corpus {
    lines: Vec<String>,
    group: Vec<usize>,
    routes: Vec<Vec<String>>,
    want: Vec<HashSet<String>>,
    rules: HashMap<String, String>,
}

/// CPU time of the process.
fn cpu() -> Duration {
    let mut u: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut u) };
    let of = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    of(u.ru_utime) + of(u.ru_stime)
}

fn main() -> Result<(), Error> {
    let dir = env::args().nth(1).ok_or("usage: peers CORPUS")?;
    let c = load(&dir)?;
    rsigma(&c, false);
    rsigma(&c, true);
    sigma_rust_engine(&c);
    logs(&fs::read_to_string(format!("{dir}/logs.txt"))?)
}

fn load(dir: &str) -> Result<Corpus, Error> {
    let read = |name: &str| fs::read_to_string(format!("{dir}/{name}"));
    let ids = |s: &str| s.split(' ').filter(|x| !x.is_empty()).map(String::from).collect::<Vec<_>>();
    let mut rules = HashMap::new();
    for entry in fs::read_dir(format!("{dir}/rules"))? {
        let path = entry?.path();
        let id = path.file_stem().ok_or("name")?.to_string_lossy().into_owned();
        rules.insert(id, fs::read_to_string(&path)?);
    }
    Ok(Corpus {
        lines: read("events.jsonl")?.lines().map(String::from).collect(),
        group: read("groups.tsv")?.lines().map(|l| l.parse()).collect::<Result<_, _>>()?,
        routes: read("rules.tsv")?.lines().map(ids).collect(),
        want: read("want.tsv")?.lines().map(|l| ids(l).into_iter().collect()).collect(),
        rules,
    })
}

/// say prints one line that the Go program turns into a ratio.
fn say(name: &str, rate: f64, refused: usize, seen: usize, missing: usize, extra: usize) {
    println!("{name}\t{rate:.0}\t{refused}\t{seen}\t{missing}\t{extra}");
}

/// rsigma gets one engine for each group of rules, and is measured with and
/// without decoding of JSON.
fn rsigma(c: &Corpus, decoded: bool) {
    let mut refused = HashSet::new();
    let engines: Vec<Engine> = c.routes.iter().map(|ids| engine(c, ids, &mut refused)).collect();
    let values: Vec<serde_json::Value> =
        c.lines.iter().map(|l| serde_json::from_str(l).unwrap_or_default()).collect();
    let (mut missing, mut extra, mut seen) = (0, 0, 0);
    let start = cpu();
    while cpu() - start < Duration::from_secs(3) {
        for (i, line) in c.lines.iter().enumerate() {
            let engine = &engines[c.group[i]];
            let hits = if decoded {
                engine.evaluate(&JsonEvent::borrow(&values[i]))
            } else {
                let v: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                engine.evaluate(&JsonEvent::borrow(&v))
            };
            if seen < c.lines.len() {
                let got: HashSet<String> = hits.iter().filter_map(|h| h.header.rule_id.clone()).collect();
                missing += c.want[i].difference(&got).count();
                extra += got.difference(&c.want[i]).count();
            }
            seen += 1;
        }
    }
    let rate = seen as f64 / (cpu() - start).as_secs_f64();
    let how = if decoded { "events decoded before" } else { "JSON decoding included" };
    say(&format!("rsigma-eval 0.23.0 (Rust), {how}"), rate, refused.len(), c.lines.len(), missing, extra);
}

fn engine(c: &Corpus, ids: &[String], refused: &mut HashSet<String>) -> Engine {
    let mut e = Engine::new();
    e.set_include_event(false);
    for id in ids {
        let taken = c.rules.get(id).and_then(|src| parse_sigma_yaml(src).ok()).is_some_and(|set| {
            !set.rules.is_empty() && set.rules.iter().all(|r| e.add_rule(r).is_ok())
        });
        if !taken {
            refused.insert(id.clone());
        }
    }
    e
}

/// sigma-rust evaluates rule by rule: every eighth event is enough.
fn sigma_rust_engine(c: &Corpus) {
    let rules: HashMap<&String, sigma_rust::Rule> =
        c.rules.iter().filter_map(|(id, src)| Some((id, sigma_rust::rule_from_yaml(src).ok()?))).collect();
    let events: Vec<Option<sigma_rust::Event>> =
        c.lines.iter().map(|l| sigma_rust::event_from_json(l).ok()).collect();
    let (mut missing, mut extra, mut seen) = (0, 0, 0);
    let start = cpu();
    for i in (0..c.lines.len()).step_by(8) {
        seen += 1;
        let Some(event) = &events[i] else { continue };
        for id in &c.routes[c.group[i]] {
            let got = rules.get(id).is_some_and(|r| r.is_match(event));
            match (got, c.want[i].contains(id)) {
                (true, false) => extra += 1,
                (false, true) => missing += 1,
                _ => (),
            }
        }
    }
    let rate = seen as f64 / (cpu() - start).as_secs_f64();
    say("sigma-rust 0.7.0 (Rust), events decoded before", rate, c.rules.len() - rules.len(), seen, missing, extra);
}

/// The evtx crate on the same event logs in memory, one thread, to JSON.
fn logs(list: &str) -> Result<(), Error> {
    let files: Vec<Vec<u8>> = list.lines().map(fs::read).collect::<Result<_, _>>()?;
    let (mut records, mut bytes) = (0usize, 0usize);
    let start = cpu();
    while cpu() - start < Duration::from_secs(3) {
        for data in &files {
            bytes += data.len();
            let settings = ParserSettings::default().num_threads(1).separate_json_attributes(true);
            let Ok(parser) = EvtxParser::from_buffer(data.clone()) else { continue };
            records += parser.with_configuration(settings).records_json().filter(|r| r.is_ok()).count();
        }
    }
    let took = (cpu() - start).as_secs_f64();
    println!("EVTX\tevtx 0.15.1 (Rust)\t{:.0}\t{:.0}", bytes as f64 / 1e6 / took, records as f64 / took);
    Ok(())
}
