//! "did you mean": the nearest of the known names, and the list of them.

/// The candidate nearest to `name`, if it is near enough to be a slip: a third of the letters, at least one.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_ascii_lowercase().replace('-', "_");
    let allowed = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let folded = candidate.to_ascii_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&wanted, &folded), candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean "a"? {what}: a, b`, without the question if nothing is near.
pub(crate) fn hint(name: &str, what: &str, candidates: &[&str]) -> String {
    if candidates.is_empty() {
        return "there is no other key here than type".to_owned();
    }
    let known = candidates.join(", ");
    match nearest(name, candidates.iter().copied()) {
        Some(nearest) => format!("did you mean \"{nearest}\"? {what}: {known}"),
        None => format!("{what}: {known}"),
    }
}
