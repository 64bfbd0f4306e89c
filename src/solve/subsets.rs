//! Which sets are parts of which, without comparing each with each.

use super::problem::Set;

/// Sets by the rarest of their items: a part of a set is found under one of the items of the whole.
pub struct Parts {
    items: Vec<Vec<u32>>,
    by_rarest: Vec<Vec<u32>>,
}

impl Parts {
    /// Indexes sets over so many items. Empty sets are found nowhere.
    pub fn new<'a>(items: usize, sets: impl Iterator<Item = &'a Set>) -> Self {
        let sets: Vec<Vec<u32>> = sets.map(list).collect();
        let mut count = vec![0u32; items];
        sets.iter().flatten().for_each(|&i| count[i as usize] += 1);
        let mut by_rarest: Vec<Vec<u32>> = vec![Vec::new(); items];
        for (k, set) in sets.iter().enumerate() {
            if let Some(&rarest) = set.iter().min_by_key(|&&i| count[i as usize]) {
                by_rarest[rarest as usize].push(k as u32);
            }
        }
        Self { items: sets, by_rarest }
    }

    /// The sets of which `whole` holds everything, in no particular order, `whole` itself included.
    pub fn of<'a>(&'a self, whole: &'a Set) -> impl Iterator<Item = usize> + 'a {
        whole
            .ones()
            .flat_map(|i| &self.by_rarest[i])
            .map(|&k| k as usize)
            .filter(|&k| self.items[k].iter().all(|&i| whole.contains(i as usize)))
    }
}

/// Sets by each of their items.
pub struct Holders<'a> {
    sets: Vec<&'a Set>,
    by_item: Vec<Vec<u32>>,
}

impl<'a> Holders<'a> {
    /// Indexes sets over so many items.
    pub fn new(items: usize, sets: impl Iterator<Item = &'a Set>) -> Self {
        let sets: Vec<&Set> = sets.collect();
        let mut by_item = vec![Vec::new(); items];
        for (k, set) in sets.iter().enumerate() {
            set.ones().for_each(|i| by_item[i].push(k as u32));
        }
        Self { sets, by_item }
    }

    /// The sets that hold an item, ascending.
    pub fn of(&self, item: usize) -> &[u32] {
        &self.by_item[item]
    }

    /// The sets that hold all of `part`, ascending: looked for among the holders of its rarest item.
    pub fn supersets(&self, part: &Set) -> Vec<usize> {
        let items = list(part);
        match items.iter().min_by_key(|&&i| self.by_item[i as usize].len()) {
            Some(&rarest) => self.by_item[rarest as usize]
                .iter()
                .map(|&k| k as usize)
                .filter(|&k| items.iter().all(|&i| self.sets[k].contains(i as usize)))
                .collect(),
            None => (0..self.sets.len()).collect(),
        }
    }
}

/// The items of a set.
pub fn list(set: &Set) -> Vec<u32> {
    set.ones().map(|i| i as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[usize]) -> Set {
        let mut set = Set::with_capacity(6);
        items.iter().for_each(|&i| set.insert(i));
        set
    }

    #[test]
    fn parts_and_holders_are_those_that_comparing_each_with_each_finds() {
        let sets = [set(&[0, 1]), set(&[1]), set(&[1, 2, 3]), set(&[5]), set(&[0, 1, 2, 3, 4]), set(&[0, 1])];
        let parts = Parts::new(6, sets.iter());
        let holders = Holders::new(6, sets.iter());
        for whole in sets.iter().chain([&set(&[]), &set(&[0, 1, 5]), &set(&[4])]) {
            let mut found: Vec<usize> = parts.of(whole).collect();
            found.sort_unstable();
            let wanted: Vec<usize> = (0..sets.len()).filter(|&k| sets[k].is_subset(whole)).collect();
            assert_eq!(found, wanted);
            let wanted: Vec<usize> = (0..sets.len()).filter(|&k| whole.is_subset(&sets[k])).collect();
            assert_eq!(holders.supersets(whole), wanted);
        }
    }
}
