//! Costs from sizes, for packages that nobody measured.

use crate::model::{Cost, CostSource, LanguageCosts, PackageId};

/// Wheels and tarballs are compressed: this is the median of installed size over archive size of the 40 packages of the
/// shipped table whose `uv.lock` in `fixtures/fleet` states a size (3.46; from 1.3 to 7.1). Only used where nothing better
/// is known, and always marked.
const INSTALLED_PER_ARCHIVE: f64 = 3.5;

/// A cost from the bytes of the archive that a lock states.
pub fn from_size(id: &PackageId, archive_bytes: Option<u64>, language: Option<&LanguageCosts>) -> Option<Cost> {
    let bytes = archive_bytes?;
    let language = language?;
    let disk_mb = bytes as f64 * INSTALLED_PER_ARCHIVE / 1e6;
    Some(Cost {
        package: id.clone(),
        platform: None,
        load_ms: disk_mb * language.load_ms_per_disk_mb?,
        resident_mb: disk_mb * language.resident_mb_per_disk_mb?,
        disk_mb: Some(disk_mb),
        source: CostSource::Estimated,
        how: None,
        basis: Some(format!("archive of {bytes} bytes")),
        samples: None,
        spread: None,
        modules: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_gives_an_estimate_only_where_both_size_and_ratio_are_known() {
        let id: PackageId = "pypi:a==1".parse().unwrap();
        let language = LanguageCosts {
            image_overhead_mb: 10.0,
            swap_base_ms: 2.0,
            swap_ms_per_mb: 0.2,
            waste_ms_per_mb: None,
            load_ms_per_disk_mb: Some(10.0),
            resident_mb_per_disk_mb: Some(2.0),
        };
        let cost = from_size(&id, Some(2_000_000), Some(&language)).unwrap();
        assert_eq!(cost.disk_mb, Some(7.0));
        assert_eq!((cost.load_ms, cost.resident_mb), (70.0, 14.0));
        assert_eq!(cost.source, CostSource::Estimated);
        assert!(from_size(&id, None, Some(&language)).is_none());
        assert!(from_size(&id, Some(1), Some(&LanguageCosts { load_ms_per_disk_mb: None, ..language })).is_none());
    }
}
