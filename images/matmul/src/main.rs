//! `{"n":64}` → `{"n":64,"trace":…,"checksum":…}`: multiplies two n × n matrices.
//!
//! The entries are multiples of 1/2 and 1/4, small enough that every sum is exact in an `f64`. So
//! the result does not depend on the order of additions, and the tests can demand equality.

#![cfg_attr(not(test), no_std, no_main)]
#![forbid(unsafe_code)]

use action_abi::prelude::*;

/// Largest matrix: three of them are 6 MiB.
const N_MAX: usize = 512;

#[derive(Deserialize)]
struct In {
    n: usize,
}

#[derive(Debug, PartialEq, Serialize)]
struct Out {
    n: usize,
    /// Sum of the diagonal of the product.
    trace: f64,
    /// Sum of all entries of the product.
    checksum: f64,
}

fn matmul(input: In) -> Result<Out, String> {
    let n = input.n;
    if !(1..=N_MAX).contains(&n) {
        return Err(format!("n must be 1 to {N_MAX}, not {n}"));
    }
    let product = multiply(n, &matrix(n, left), &matrix(n, right));
    Ok(Out { n, trace: product.iter().step_by(n + 1).sum(), checksum: product.iter().sum() })
}

/// Entry of the left matrix.
fn left(row: usize, column: usize) -> f64 {
    0.5 * (row as f64 + 2.0 * column as f64 + 1.0)
}

/// Entry of the right matrix.
fn right(row: usize, column: usize) -> f64 {
    0.25 * (3.0 * row as f64 - column as f64 + 2.0)
}

/// An n × n matrix, row by row.
fn matrix(n: usize, entry: fn(usize, usize) -> f64) -> Vec<f64> {
    (0..n * n).map(|at| entry(at / n, at % n)).collect()
}

/// The product of two n × n matrices. The inner loop runs along rows of both the right matrix and
/// the product, which is kind to the cache and to a vectoriser.
fn multiply(n: usize, left: &[f64], right: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; n * n];
    for (row, left_row) in product.chunks_exact_mut(n).zip(left.chunks_exact(n)) {
        for (factor, right_row) in left_row.iter().zip(right.chunks_exact(n)) {
            for (sum, entry) in row.iter_mut().zip(right_row) {
                *sum += factor * entry;
            }
        }
    }
    product
}

action_abi::action!(matmul);

#[cfg(test)]
mod tests {
    use super::*;

    /// With S1 and S2 the sums of 0..n and of its squares: the trace is the sum over i and k of
    /// (i + 2k + 1)(3k - i + 2) / 8, the checksum the sum over k of column k of the left times row
    /// k of the right.
    fn closed_form(n: usize) -> Out {
        let m = n as i64;
        let (s1, s2) = (m * (m - 1) / 2, (m - 1) * m * (2 * m - 1) / 6);
        let trace = s1 * s1 + 5 * m * s2 + 8 * m * s1 + 2 * m * m;
        let checksum: i64 = (0..m).map(|k| (s1 + m * (2 * k + 1)) * (m * (3 * k + 2) - s1)).sum();
        Out { n, trace: trace as f64 / 8.0, checksum: checksum as f64 / 8.0 }
    }

    #[test]
    fn agrees_with_the_closed_form() {
        for n in [1, 2, 3, 7, 64, 65, 200] {
            assert_eq!(matmul(In { n }), Ok(closed_form(n)));
        }
    }

    #[test]
    fn agrees_with_the_definition() {
        const N: usize = 9;
        let (a, b) = (matrix(N, left), matrix(N, right));
        let product = multiply(N, &a, &b);
        for i in 0..N {
            for j in 0..N {
                let sum: f64 = (0..N).map(|k| a[i * N + k] * b[k * N + j]).sum();
                assert_eq!(product[i * N + j], sum);
            }
        }
    }

    #[test]
    fn out_of_range_is_refused() {
        for n in [0, N_MAX + 1, usize::MAX] {
            assert!(matmul(In { n }).is_err());
        }
    }
}
