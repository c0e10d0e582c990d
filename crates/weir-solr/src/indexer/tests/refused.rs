//! Documents that Solr refuses, and what is not their fault.

use super::*;

/// Scenario: bad documents at the beginning, in the middle, side by side and at the end of batches; Solr names them.
/// Guarantees: they alone are rejected, with Solr's words; all others are in, once.
#[test]
fn bad_documents_are_found_by_name() {
    run(async {
        let fake = cluster(1).await;
        let bad = [0, 7, 8, 500, 999];
        let report = index(&fake, options(), documents(1000, "bad", &bad)).await;
        let mut rejected: Vec<_> = report.rejected.iter().map(|(number, _)| *number).collect();
        rejected.sort_unstable();
        assert_eq!(rejected, bad);
        assert!(report.rejected.iter().all(|(number, words)| words.contains(&format!("[doc=t-0-{number}]"))));
        let mut expected = all_once(1000);
        expected.retain(|id, _| !bad.iter().any(|number| *id == format!("t-0-{number}")));
        assert_eq!(fake.added(), expected);
    });
}

/// Scenario: a document that Solr refuses without naming it.
/// Guarantees: requests are halved until it is alone; it alone is rejected.
#[test]
fn bad_documents_without_a_name_are_isolated() {
    run(async {
        let fake = cluster(1).await;
        let report = index(&fake, options(), documents(250, "strange", &[77])).await;
        let words = "Exception while parsing the request".to_owned();
        assert_eq!(report.rejected, [(77, words)]);
        assert_eq!(fake.added().len(), 249);
    });
}

/// Documents of these ids; `field` is added to the last of them.
fn called(ids: &[&str], field: &str, value: &[u8]) -> Documents {
    let encoding = Encoding::new(Form::Json, []);
    let [key, field] = ["id", field].map(|name| encoding.name(name));
    let mut builder = DocumentsBuilder::new(&encoding);
    for (number, id) in ids.iter().enumerate() {
        builder.begin(&key, id);
        if number + 1 == ids.len() {
            builder.text(&field, value);
        }
        builder.end();
    }
    builder.finish()
}

/// Scenario: an update chain that tolerates bad documents and names them in an answer of 200; with ids that are written with
/// escapes, and where Solr does not know which one it is.
/// Guarantees: what is not in Solr is never accepted: each bad document is rejected, all others are in.
#[test]
fn a_tolerant_chain_hides_nothing() {
    let odd = ["plain", "a\"b", "c\\d", "e]f"];
    for (field, ids) in
        [("bad", &odd[..2]), ("bad", &odd[..3]), ("bad", &odd[..]), ("strange", &odd[..1]), ("strange", &odd)]
    {
        run(async {
            let fake = cluster(1).await;
            fake.tolerate();
            let report = index(&fake, options(), called(ids, field, b"x")).await;
            let rejected: Vec<_> = report.rejected.iter().map(|(number, _)| *number).collect();
            assert_eq!((rejected, report.handed_back.is_none()), (vec![ids.len() - 1], true), "{field} {ids:?}");
            assert_eq!(fake.added().len(), ids.len() - 1, "{field} {ids:?}");
        });
    }
}

/// Scenario: ids that end in what stands behind ids in Solr's words, beside those they could be mistaken for.
/// Guarantees: the bad document is found all the same; nobody else is rejected, and nothing is accepted that is not in.
#[test]
fn ids_are_not_mistaken_for_each_other() {
    for ids in [["first", "a", "second", "a]b"], ["first", "a]b", "second", "a"], ["b", "a\"", "a", "a\"]"]] {
        run(async {
            let fake = cluster(1).await;
            let report = index(&fake, options(), called(&ids, "bad", b"x")).await;
            let rejected: Vec<_> = report.rejected.iter().map(|(number, _)| *number).collect();
            assert_eq!((rejected, fake.added().len()), (vec![3], 3), "{ids:?}");
        });
    }
}

/// Scenario: a field that the schema does not have; a login that is refused.
/// Guarantees: nothing is rejected; everything is handed back as something that a person must see to.
#[test]
fn what_a_person_must_see_to_is_handed_back() {
    run(async {
        let fake = cluster(1).await;
        let report = index(&fake, options(), documents(10, "lacking", &[3])).await;
        let handed_back = report.handed_back.expect("handed back");
        assert!(handed_back.is_permanent && handed_back.message.contains("unknown field"), "{handed_back:?}");
        assert!(report.rejected.is_empty());
        fake.script("shard1_a", [Step::Status(403, "Unauthorized", None)]);
        let report = index(&fake, options(), documents(10, "", &[])).await;
        assert!(report.handed_back.expect("handed back").is_permanent);
    });
}

/// Scenario: a bad value with the words that Solr has for a field that it does not know; a field that the sender named, and
/// Solr does not know.
/// Guarantees: that document alone is rejected, the others are in: nobody can stop the sink by what he sends.
#[test]
fn words_of_the_sender_are_not_those_of_solr() {
    let values: [&[u8]; 3] = [b"unknown field 'id'", b"x' ERROR: [doc=a] unknown field 'bad'", b"[doc=b]"];
    for (field, value) in values.map(|value| ("bad", value)).into_iter().chain([("lacking", &b"x"[..])]) {
        run(async {
            let fake = cluster(1).await;
            let report = index(&fake, options(), called(&["a", "b", "c", "d"], field, value)).await;
            let rejected: Vec<_> = report.rejected.iter().map(|(number, _)| *number).collect();
            assert_eq!((rejected, report.handed_back.is_none()), (vec![3], true), "{field} {value:?}");
            assert_eq!(fake.added().len(), 3);
        });
    }
}

/// Scenario: Solr refuses every document: in one request of many and in many requests of a few, naming them or not, in an
/// answer of its own or of a tolerant chain, or because they are too large for a proxy.
/// Guarantees: after some of them, over all requests, that counts as something a person must see to, not as a fault of
/// documents, however often it is tried.
#[test]
fn when_everything_is_refused_it_is_not_the_documents() {
    for (field, per_request, is_tolerant) in [
        ("bad", 250, false),
        ("strange", 250, false),
        ("bad", 20, false),
        ("strange", 20, true),
        ("bad", 250, true),
        ("", 20, false),
    ] {
        run(async {
            let fake = cluster(1).await;
            if is_tolerant {
                fake.tolerate();
            }
            if field.is_empty() {
                fake.limit(10);
            }
            let indexer = Indexer::new(client(&fake), options());
            let all: Vec<usize> = (0..per_request).collect();
            let (mut rejected, mut handed_back) = (0, 0);
            for _ in 0..6 {
                let submission = indexer.submit("logs", documents(per_request, field, &all)).await.expect("taken in");
                let report = submission.await;
                rejected += report.rejected.len();
                handed_back += usize::from(report.handed_back.is_some_and(|why| why.is_permanent));
            }
            assert!(rejected <= 50 && handed_back >= 3 && fake.added().is_empty(), "{field}: {rejected} {handed_back}");
            assert!(indexer.troubles()[0].contains("has refused the last 50 documents"), "{:?}", indexer.troubles());
        });
    }
}

/// Scenario: more bad documents than that at the head, good ones behind them, in the same request or in later ones.
/// Guarantees: the bad ones are rejected, the good ones are in: a bad batch does not stop the shard for good.
#[test]
fn many_bad_documents_do_not_stop_the_good_ones() {
    for (count, bad, batch) in [(1000, 900, 1000), (600, 300, 100), (400, 399, 50)] {
        run(async {
            let fake = cluster(1).await;
            let options = IndexerOptions { batch_documents_max: batch, ..options() };
            let report = index(&fake, options, documents(count, "bad", &(0..bad).collect::<Vec<_>>())).await;
            assert!(report.handed_back.is_none(), "{:?}", report.handed_back);
            assert_eq!((report.rejected.len(), fake.added().len()), (bad, count - bad));
        });
    }
}

/// Scenario: a server that takes no more than small requests (413), and one document that is too large even alone.
/// Guarantees: requests become smaller; the document alone is rejected.
#[test]
fn requests_that_are_too_large_are_halved() {
    run(async {
        let fake = cluster(1).await;
        let too_large = Step::Status(413, "Request Entity Too Large", None);
        fake.script("shard1_a", vec![too_large.clone(); 2]);
        let report = index(&fake, options(), documents(200, "", &[])).await;
        assert!(report.rejected.is_empty());
        assert_eq!(fake.added(), all_once(200));
        fake.script("shard1_a", [too_large]);
        let report = index(&fake, options(), documents(1, "", &[])).await;
        assert_eq!(report.rejected.len(), 1);
    });
}
