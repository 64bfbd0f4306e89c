//! Medians, spreads and lines.

/// The value below which a share of the values lies, interpolated between neighbours (type 7 of Hyndman and Fan, 1996);
/// 0 for none.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted: Vec<f64> = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = last as f64 * share.clamp(0.0, 1.0);
    let low = at.floor() as usize;
    let high = sorted[(low + 1).min(last)];
    sorted[low] + (high - sorted[low]) * (at - low as f64)
}

/// The middle value, or the mean of the two middle ones; 0 for none.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The mean; 0 for none.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Interquartile range over the median; 0 where the median is not positive.
pub fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    if middle <= 0.0 { 0.0 } else { (quantile(values, 0.75) - quantile(values, 0.25)) / middle }
}

/// `(base, slope)` of the line of Theil (1950) and Sen (1968): the median of the slopes between all pairs of points, and of
/// what is then left. Both at least 0, as nothing gets cheaper by more memory. None for points that have all the same x.
pub fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let mut slopes = Vec::new();
    for (at, (x, y)) in points.iter().enumerate() {
        slopes.extend(points[at + 1..].iter().filter(|(u, _)| u != x).map(|(u, v)| (v - y) / (u - x)));
    }
    if slopes.is_empty() {
        return None;
    }
    let slope = median(&slopes).max(0.0);
    let left: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    Some((median(&left).max(0.0), slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads_worked_by_hand() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        // Quartiles of 1..5 are 2 and 4: (4 - 2) / 3.
        assert!((spread(&[5.0, 1.0, 4.0, 2.0, 3.0]) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((median(&[]), mean(&[]), spread(&[]), spread(&[0.0, 0.0])), (0.0, 0.0, 0.0, 0.0));
        assert_eq!(quantile(&[10.0, 20.0], 0.25), 12.5);
    }

    #[test]
    fn one_wild_point_does_not_turn_the_line() {
        // y = 2 + 0.5 x, and an outlier.
        let points = [(0.0, 2.0), (10.0, 7.0), (20.0, 12.0), (30.0, 17.0), (40.0, 220.0)];
        let (base, slope) = line(&points).unwrap();
        assert!((base - 2.0).abs() < 1e-9 && (slope - 0.5).abs() < 1e-9, "{base} {slope}");
        assert_eq!(line(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(line(&[(0.0, 5.0), (10.0, 1.0)]).unwrap().1, 0.0);
    }
}
