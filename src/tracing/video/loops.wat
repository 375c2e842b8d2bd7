;; What runs once for every kernel and pixel of a decoder's trace, four pixels at a time.
;; Addresses are bytes. Rows are padded with zeros to a multiple of four values; strides are padded, in bytes.
;; `node scripts/wat.mjs` writes loops.wasm.ts from this file.
(module
  (import "js" "activate" (func $beyond (param f32) (result f32)))
  (memory (export "memory") 1)

  ;; Correlates a plane, padded with zeros on all sides, with a kernel: out = bias + Σ over k of
  ;; weight[k] · plane[offset[k] + …]. Sixteen values at a time: up to fifteen are written behind each row,
  ;; which the next one overwrites.
  (func (export "convolve")
    (param $plane i32) (param $stride i32) (param $offsets i32) (param $weights i32) (param $taps i32)
    (param $bias f32) (param $rows i32) (param $width i32) (param $out i32)
    (local $x i32) (local $k i32) (local $o i32) (local $w i32) (local $at i32) (local $weight v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $width (i32.shl (local.get $width) (i32.const 2)))
    (loop $row
      (local.set $x (i32.const 0))
      (loop $sixteen
        (local.set $a (f32x4.splat (local.get $bias)))
        (local.set $b (local.get $a))
        (local.set $c (local.get $a))
        (local.set $d (local.get $a))
        (local.set $k (local.get $taps))
        (local.set $o (local.get $offsets))
        (local.set $w (local.get $weights))
        (loop $tap
          (local.set $weight (v128.load32_splat (local.get $w)))
          (local.set $at (i32.add (i32.add (local.get $plane) (local.get $x)) (i32.load (local.get $o))))
          (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $weight) (v128.load (local.get $at)))))
          (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $weight) (v128.load offset=16 (local.get $at)))))
          (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $weight) (v128.load offset=32 (local.get $at)))))
          (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $weight) (v128.load offset=48 (local.get $at)))))
          (local.set $o (i32.add (local.get $o) (i32.const 4)))
          (local.set $w (i32.add (local.get $w) (i32.const 4)))
          (br_if $tap (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
        (local.set $at (i32.add (local.get $out) (local.get $x)))
        (v128.store (local.get $at) (local.get $a))
        (v128.store offset=16 (local.get $at) (local.get $b))
        (v128.store offset=32 (local.get $at) (local.get $c))
        (v128.store offset=48 (local.get $at) (local.get $d))
        (br_if $sixteen (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 64))) (local.get $width))))
      (local.set $plane (i32.add (local.get $plane) (local.get $stride)))
      (local.set $out (i32.add (local.get $out) (local.get $width)))
      (br_if $row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))

  ;; σ(z) = z · factor(z) in place, four values at a time; the factor from a table of $perUnit points a unit
  ;; from −$reach to $reach and straight lines between them, and from JavaScript beyond.
  (func (export "activate")
    (param $at i32) (param $count i32) (param $table i32) (param $reach f32) (param $perUnit f32)
    (local $end i32) (local $z v128) (local $place v128) (local $cell v128) (local $low v128) (local $high v128)
    (local $k i32)
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
    (loop $four
      (local.set $z (v128.load (local.get $at)))
      (if (i32x4.all_true (f32x4.lt (f32x4.abs (local.get $z)) (f32x4.splat (local.get $reach))))
        (then
          (local.set $place (f32x4.mul (f32x4.add (local.get $z) (f32x4.splat (local.get $reach)))
            (f32x4.splat (local.get $perUnit))))
          (local.set $cell (i32x4.trunc_sat_f32x4_s (local.get $place)))
          (local.set $place (f32x4.sub (local.get $place) (f32x4.convert_i32x4_s (local.get $cell))))
          (local.set $cell (i32x4.add (i32x4.shl (local.get $cell) (i32.const 2)) (i32x4.splat (local.get $table))))
          (local.set $low (v128.load64_lane 1 (i32x4.extract_lane 1 (local.get $cell))
            (v128.load64_zero (i32x4.extract_lane 0 (local.get $cell)))))
          (local.set $high (v128.load64_lane 1 (i32x4.extract_lane 3 (local.get $cell))
            (v128.load64_zero (i32x4.extract_lane 2 (local.get $cell)))))
          (local.set $cell (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $low) (local.get $high)))
          (local.set $high (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31 (local.get $low) (local.get $high)))
          (v128.store (local.get $at) (f32x4.mul (local.get $z)
            (f32x4.add (local.get $cell)
              (f32x4.mul (local.get $place) (f32x4.sub (local.get $high) (local.get $cell)))))))
        (else
          (local.set $k (i32.const 0))
          (loop $one
            (f32.store (i32.add (local.get $at) (local.get $k))
              (call $beyond (f32.load (i32.add (local.get $at) (local.get $k)))))
            (br_if $one (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 4))) (i32.const 16))))))
      (br_if $four (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end)))))

  ;; Adds values to float64 sums.
  (func (export "accumulate") (param $values i32) (param $count i32) (param $sums i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $values) (i32.shl (local.get $count) (i32.const 2))))
    (loop $two
      (v128.store (local.get $sums)
        (f64x2.add (v128.load (local.get $sums))
          (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $values)))))
      (local.set $sums (i32.add (local.get $sums) (i32.const 16)))
      (br_if $two (i32.lt_u (local.tee $values (i32.add (local.get $values) (i32.const 8))) (local.get $end)))))

  ;; Applies a map along rows (taps.ts) to each of $rows rows: an output is Σ over k of
  ;; weight[k][x] · in[start[x] + k]; weights lie tap by tap, starts are bytes.
  (func (export "across")
    (param $in i32) (param $inStride i32) (param $rows i32)
    (param $starts i32) (param $weights i32) (param $taps i32)
    (param $out i32) (param $stride i32)
    (local $x i32) (local $k i32) (local $w i32) (local $sum v128)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (block $done
      (loop $row
        (br_if $done (i32.le_s (local.get $rows) (i32.const 0)))
        (local.set $x (i32.const 0))
        (loop $four
          (local.set $w (i32.add (local.get $starts) (local.get $x)))
          (local.set $a (i32.add (local.get $in) (i32.load (local.get $w))))
          (local.set $b (i32.add (local.get $in) (i32.load offset=4 (local.get $w))))
          (local.set $c (i32.add (local.get $in) (i32.load offset=8 (local.get $w))))
          (local.set $d (i32.add (local.get $in) (i32.load offset=12 (local.get $w))))
          (local.set $w (i32.add (local.get $weights) (local.get $x)))
          (local.set $k (local.get $taps))
          (local.set $sum (v128.const f32x4 0 0 0 0))
          (loop $tap
            (local.set $sum (f32x4.add (local.get $sum)
              (f32x4.mul (v128.load (local.get $w))
                (v128.load32_lane 3 (local.get $d)
                  (v128.load32_lane 2 (local.get $c)
                    (v128.load32_lane 1 (local.get $b)
                      (v128.load32_zero (local.get $a))))))))
            (local.set $a (i32.add (local.get $a) (i32.const 4)))
            (local.set $b (i32.add (local.get $b) (i32.const 4)))
            (local.set $c (i32.add (local.get $c) (i32.const 4)))
            (local.set $d (i32.add (local.get $d) (i32.const 4)))
            (local.set $w (i32.add (local.get $w) (local.get $stride)))
            (br_if $tap (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
          (v128.store (i32.add (local.get $out) (local.get $x)) (local.get $sum))
          (br_if $four (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 16))) (local.get $stride))))
        (local.set $in (i32.add (local.get $in) (local.get $inStride)))
        (local.set $out (i32.add (local.get $out) (local.get $stride)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $row))))

  ;; One output row: Σ over k of weight[k] · the row at address[k]; 0 when all weights are zero, and then
  ;; nothing is written.
  (func $combine
    (param $addresses i32) (param $weights i32) (param $taps i32) (param $stride i32) (param $out i32)
    (result i32)
    (local $any i32) (local $weight f32) (local $w v128) (local $row i32) (local $x i32) (local $at i32)
    (loop $tap
      (local.set $weight (f32.load (local.get $weights)))
      (if (f32.ne (local.get $weight) (f32.const 0))
        (then
          (local.set $w (f32x4.splat (local.get $weight)))
          (local.set $row (i32.load (local.get $addresses)))
          (local.set $x (i32.const 0))
          (if (local.get $any)
            (then
              (loop $four
                (local.set $at (i32.add (local.get $out) (local.get $x)))
                (v128.store (local.get $at)
                  (f32x4.add (v128.load (local.get $at))
                    (f32x4.mul (local.get $w) (v128.load (i32.add (local.get $row) (local.get $x))))))
                (br_if $four (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 16))) (local.get $stride)))))
            (else
              (loop $four
                (v128.store (i32.add (local.get $out) (local.get $x))
                  (f32x4.mul (local.get $w) (v128.load (i32.add (local.get $row) (local.get $x)))))
                (br_if $four (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 16))) (local.get $stride))))))
          (local.set $any (i32.const 1))))
      (local.set $addresses (i32.add (local.get $addresses) (i32.const 4)))
      (local.set $weights (i32.add (local.get $weights) (i32.const 4)))
      (br_if $tap (local.tee $taps (i32.sub (local.get $taps) (i32.const 1)))))
    (local.get $any))

  ;; All output rows, one behind another at $outStride, which may be less than $stride: what a row writes
  ;; beyond its end, the next one overwrites.
  (func (export "down")
    (param $addresses i32) (param $weights i32) (param $taps i32) (param $rows i32) (param $stride i32)
    (param $out i32) (param $outStride i32)
    (local $step i32)
    (local.set $step (i32.shl (local.get $taps) (i32.const 2)))
    (loop $row
      (if (i32.eqz (call $combine (local.get $addresses) (local.get $weights) (local.get $taps)
            (local.get $stride) (local.get $out)))
        (then (memory.fill (local.get $out) (i32.const 0) (local.get $stride))))
      (local.set $addresses (i32.add (local.get $addresses) (local.get $step)))
      (local.set $weights (i32.add (local.get $weights) (local.get $step)))
      (local.set $out (i32.add (local.get $out) (local.get $outStride)))
      (br_if $row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))

  ;; First round over a map C that is made row by row in $values: adds |C| to $sums (float64 a pixel), counts
  ;; the bits of |C| without the lowest 13 in $counts, of the first $width values of every $every-th row;
  ;; puts Σ|C| (float64) and the largest |C| (float32) at $result.
  (func (export "first")
    (param $addresses i32) (param $weights i32) (param $taps i32) (param $rows i32) (param $stride i32)
    (param $width i32) (param $values i32) (param $sums i32) (param $counts i32) (param $every i32)
    (param $result i32)
    (local $step i32) (local $y i32) (local $at i32) (local $end i32) (local $bin i32)
    (local $v v128) (local $d v128) (local $low v128) (local $high v128) (local $largest v128)
    (local.set $step (i32.shl (local.get $taps) (i32.const 2)))
    (loop $row
      (if (call $combine (local.get $addresses) (local.get $weights) (local.get $taps) (local.get $stride)
            (local.get $values))
        (then
          (local.set $at (local.get $values))
          (local.set $end (i32.add (local.get $values) (local.get $stride)))
          (loop $four
            (local.set $v (f32x4.abs (v128.load (local.get $at))))
            (local.set $largest (f32x4.pmax (local.get $largest) (local.get $v)))
            (local.set $d (f64x2.promote_low_f32x4 (local.get $v)))
            (local.set $low (f64x2.add (local.get $low) (local.get $d)))
            (v128.store (local.get $sums) (f64x2.add (v128.load (local.get $sums)) (local.get $d)))
            (local.set $d (f64x2.promote_low_f32x4
              (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $v) (local.get $v))))
            (local.set $high (f64x2.add (local.get $high) (local.get $d)))
            (v128.store offset=16 (local.get $sums) (f64x2.add (v128.load offset=16 (local.get $sums)) (local.get $d)))
            (local.set $sums (i32.add (local.get $sums) (i32.const 32)))
            (br_if $four (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
          (if (i32.eqz (i32.rem_u (local.get $y) (local.get $every)))
            (then
              (local.set $at (local.get $values))
              (local.set $end (i32.add (local.get $values) (i32.shl (local.get $width) (i32.const 2))))
              (loop $one
                (local.set $bin (i32.add (local.get $counts)
                  (i32.and (i32.shr_u (i32.load (local.get $at)) (i32.const 11)) (i32.const 0xffffc))))
                (i32.store (local.get $bin) (i32.add (i32.load (local.get $bin)) (i32.const 1)))
                (br_if $one (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end)))))))
        (else
          (local.set $sums (i32.add (local.get $sums) (i32.shl (local.get $stride) (i32.const 1))))
          (if (i32.eqz (i32.rem_u (local.get $y) (local.get $every)))
            (then (i32.store (local.get $counts) (i32.add (i32.load (local.get $counts)) (local.get $width)))))))
      (local.set $addresses (i32.add (local.get $addresses) (local.get $step)))
      (local.set $weights (i32.add (local.get $weights) (local.get $step)))
      (br_if $row (i32.lt_u (local.tee $y (i32.add (local.get $y) (i32.const 1))) (local.get $rows))))
    (local.set $d (f64x2.add (local.get $low) (local.get $high)))
    (f64.store (local.get $result)
      (f64.add (f64x2.extract_lane 0 (local.get $d)) (f64x2.extract_lane 1 (local.get $d))))
    (f32.store offset=8 (local.get $result)
      (f32.max
        (f32.max (f32x4.extract_lane 0 (local.get $largest)) (f32x4.extract_lane 1 (local.get $largest)))
        (f32.max (f32x4.extract_lane 2 (local.get $largest)) (f32x4.extract_lane 3 (local.get $largest))))))

  ;; Second round: the number of pixels where |C| is larger than $fair has it, and one more in $above (int32)
  ;; where it is larger than $threshold. All are compared as bits, which are in the numbers' order.
  (func (export "second")
    (param $addresses i32) (param $weights i32) (param $taps i32) (param $rows i32) (param $stride i32)
    (param $values i32) (param $fair i32) (param $above i32) (param $threshold i32)
    (result i32)
    (local $step i32) (local $at i32) (local $end i32) (local $v v128) (local $t v128) (local $count v128)
    (local.set $step (i32.shl (local.get $taps) (i32.const 2)))
    (local.set $t (i32x4.splat (local.get $threshold)))
    (loop $row
      (if (call $combine (local.get $addresses) (local.get $weights) (local.get $taps) (local.get $stride)
            (local.get $values))
        (then
          (local.set $at (local.get $values))
          (local.set $end (i32.add (local.get $values) (local.get $stride)))
          (loop $four
            (local.set $v (v128.and (v128.load (local.get $at)) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff)))
            (local.set $count (i32x4.sub (local.get $count)
              (i32x4.gt_s (local.get $v) (v128.load (local.get $fair)))))
            (v128.store (local.get $above) (i32x4.sub (v128.load (local.get $above))
              (i32x4.gt_s (local.get $v) (local.get $t))))
            (local.set $fair (i32.add (local.get $fair) (i32.const 16)))
            (local.set $above (i32.add (local.get $above) (i32.const 16)))
            (br_if $four (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end)))))
        (else
          (local.set $fair (i32.add (local.get $fair) (local.get $stride)))
          (local.set $above (i32.add (local.get $above) (local.get $stride)))))
      (local.set $addresses (i32.add (local.get $addresses) (local.get $step)))
      (local.set $weights (i32.add (local.get $weights) (local.get $step)))
      (br_if $row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))
    (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $count)) (i32x4.extract_lane 1 (local.get $count)))
      (i32.add (i32x4.extract_lane 2 (local.get $count)) (i32x4.extract_lane 3 (local.get $count)))))

  ;; Adds values to two float32 sums; puts their sum (float64) and the largest magnitude (float32) at $result.
  (func (export "summarise")
    (param $values i32) (param $count i32) (param $a i32) (param $b i32) (param $result i32)
    (local $end i32) (local $v v128) (local $low v128) (local $high v128) (local $largest v128)
    (local.set $end (i32.add (local.get $values) (i32.shl (local.get $count) (i32.const 2))))
    (loop $four
      (local.set $v (v128.load (local.get $values)))
      (v128.store (local.get $a) (f32x4.add (v128.load (local.get $a)) (local.get $v)))
      (v128.store (local.get $b) (f32x4.add (v128.load (local.get $b)) (local.get $v)))
      (local.set $largest (f32x4.pmax (local.get $largest) (f32x4.abs (local.get $v))))
      (local.set $low (f64x2.add (local.get $low) (f64x2.promote_low_f32x4 (local.get $v))))
      (local.set $high (f64x2.add (local.get $high) (f64x2.promote_low_f32x4
        (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $v) (local.get $v)))))
      (local.set $a (i32.add (local.get $a) (i32.const 16)))
      (local.set $b (i32.add (local.get $b) (i32.const 16)))
      (br_if $four (i32.lt_u (local.tee $values (i32.add (local.get $values) (i32.const 16))) (local.get $end))))
    (local.set $low (f64x2.add (local.get $low) (local.get $high)))
    (f64.store (local.get $result)
      (f64.add (f64x2.extract_lane 0 (local.get $low)) (f64x2.extract_lane 1 (local.get $low))))
    (f32.store offset=8 (local.get $result)
      (f32.max
        (f32.max (f32x4.extract_lane 0 (local.get $largest)) (f32x4.extract_lane 1 (local.get $largest)))
        (f32.max (f32x4.extract_lane 2 (local.get $largest)) (f32x4.extract_lane 3 (local.get $largest))))))

  ;; 8-bit values, 128.5 + factor · value cut off, sixteen at a time.
  (func (export "encode") (param $values i32) (param $count i32) (param $factor f32) (param $out i32)
    (local $end i32) (local $f v128) (local $half v128)
    (local.set $f (f32x4.splat (local.get $factor)))
    (local.set $half (f32x4.splat (f32.const 128.5)))
    (local.set $end (i32.add (local.get $out) (local.get $count)))
    (loop $sixteen
      (v128.store (local.get $out)
        (i8x16.narrow_i16x8_u
          (i16x8.narrow_i32x4_s
            (i32x4.trunc_sat_f32x4_s (f32x4.add (local.get $half) (f32x4.mul (local.get $f) (v128.load (local.get $values)))))
            (i32x4.trunc_sat_f32x4_s (f32x4.add (local.get $half) (f32x4.mul (local.get $f) (v128.load offset=16 (local.get $values))))))
          (i16x8.narrow_i32x4_s
            (i32x4.trunc_sat_f32x4_s (f32x4.add (local.get $half) (f32x4.mul (local.get $f) (v128.load offset=32 (local.get $values)))))
            (i32x4.trunc_sat_f32x4_s (f32x4.add (local.get $half) (f32x4.mul (local.get $f) (v128.load offset=48 (local.get $values))))))))
      (local.set $values (i32.add (local.get $values) (i32.const 64)))
      (br_if $sixteen (i32.lt_u (local.tee $out (i32.add (local.get $out) (i32.const 16))) (local.get $end))))))
