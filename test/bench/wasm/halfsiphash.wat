;; HalfSipHash-2-4 over a batch: the twin of src/flow/halfsiphash.ts, with which the benchmark `hash` compares it.
;;
;; A message here is whole words, the last of which is what `halfSipHash24` makes of the length and the bytes left over:
;; the caller writes it so.
(module
  (memory (export "memory") 1)

  ;; One message after the other. Each lies in `stride` bytes: two words of key, then `words` words.
  ;; Digests go to `out`, a word each.
  (func (export "each") (param $at i32) (param $count i32) (param $stride i32) (param $words i32) (param $out i32)
    (local $v0 i32) (local $v1 i32) (local $v2 i32) (local $v3 i32)
    (local $m i32) (local $word i32) (local $rounds i32) (local $end i32)
    (local.set $end (i32.add (local.get $at) (i32.mul (local.get $count) (local.get $stride))))
    (loop $messages
      (local.set $v0 (i32.load (local.get $at)))
      (local.set $v1 (i32.load offset=4 (local.get $at)))
      (local.set $v2 (i32.xor (local.get $v0) (i32.const 0x6c796765)))
      (local.set $v3 (i32.xor (local.get $v1) (i32.const 0x74656462)))
      (local.set $word (i32.const 0))
      (loop $blocks
        ;; Behind the last word there is one more turn: no message, and four rounds.
        (if (i32.lt_s (local.get $word) (local.get $words))
          (then
            (local.set $m (i32.load offset=8
              (i32.add (local.get $at) (i32.shl (local.get $word) (i32.const 2)))))
            (local.set $rounds (i32.const 2)))
          (else
            (local.set $m (i32.const 0))
            (local.set $v2 (i32.xor (local.get $v2) (i32.const 0xff)))
            (local.set $rounds (i32.const 4))))
        (local.set $v3 (i32.xor (local.get $v3) (local.get $m)))
        (loop $round
          (local.set $v0 (i32.add (local.get $v0) (local.get $v1)))
          (local.set $v1 (i32.xor (i32.rotl (local.get $v1) (i32.const 5)) (local.get $v0)))
          (local.set $v0 (i32.rotl (local.get $v0) (i32.const 16)))
          (local.set $v2 (i32.add (local.get $v2) (local.get $v3)))
          (local.set $v3 (i32.xor (i32.rotl (local.get $v3) (i32.const 8)) (local.get $v2)))
          (local.set $v0 (i32.add (local.get $v0) (local.get $v3)))
          (local.set $v3 (i32.xor (i32.rotl (local.get $v3) (i32.const 7)) (local.get $v0)))
          (local.set $v2 (i32.add (local.get $v2) (local.get $v1)))
          (local.set $v1 (i32.xor (i32.rotl (local.get $v1) (i32.const 13)) (local.get $v2)))
          (local.set $v2 (i32.rotl (local.get $v2) (i32.const 16)))
          (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
          (br_if $round (local.get $rounds)))
        (local.set $v0 (i32.xor (local.get $v0) (local.get $m)))
        (local.set $word (i32.add (local.get $word) (i32.const 1)))
        (br_if $blocks (i32.le_s (local.get $word) (local.get $words))))
      (i32.store (local.get $out) (i32.xor (local.get $v1) (local.get $v3)))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (local.set $at (i32.add (local.get $at) (local.get $stride)))
      (br_if $messages (i32.lt_s (local.get $at) (local.get $end)))))

  ;; Four messages at a time, in the lanes of vectors: word w of a group's four messages lies side by side, in 16 bytes.
  ;; A group takes `stride` bytes: two vectors of key, then `words` vectors. Digests go to `out`, a vector per group.
  (func (export "fours") (param $at i32) (param $groups i32) (param $stride i32) (param $words i32) (param $out i32)
    (local $v0 v128) (local $v1 v128) (local $v2 v128) (local $v3 v128) (local $m v128)
    (local $word i32) (local $rounds i32) (local $end i32)
    (local.set $end (i32.add (local.get $at) (i32.mul (local.get $groups) (local.get $stride))))
    (loop $messages
      (local.set $v0 (v128.load (local.get $at)))
      (local.set $v1 (v128.load offset=16 (local.get $at)))
      (local.set $v2 (v128.xor (local.get $v0) (i32x4.splat (i32.const 0x6c796765))))
      (local.set $v3 (v128.xor (local.get $v1) (i32x4.splat (i32.const 0x74656462))))
      (local.set $word (i32.const 0))
      (loop $blocks
        (if (i32.lt_s (local.get $word) (local.get $words))
          (then
            (local.set $m (v128.load offset=32
              (i32.add (local.get $at) (i32.shl (local.get $word) (i32.const 4)))))
            (local.set $rounds (i32.const 2)))
          (else
            (local.set $m (v128.const i32x4 0 0 0 0))
            (local.set $v2 (v128.xor (local.get $v2) (i32x4.splat (i32.const 0xff))))
            (local.set $rounds (i32.const 4))))
        (local.set $v3 (v128.xor (local.get $v3) (local.get $m)))
        ;; Vectors have no rotation: two shifts each. Left shift, right shift, and the two together.
        (loop $round
          (local.set $v0 (i32x4.add (local.get $v0) (local.get $v1)))
          (local.set $v1 (v128.xor (local.get $v0) (v128.or
            (i32x4.shl (local.get $v1) (i32.const 5)) (i32x4.shr_u (local.get $v1) (i32.const 27)))))
          (local.set $v0 (v128.or
            (i32x4.shl (local.get $v0) (i32.const 16)) (i32x4.shr_u (local.get $v0) (i32.const 16))))
          (local.set $v2 (i32x4.add (local.get $v2) (local.get $v3)))
          (local.set $v3 (v128.xor (local.get $v2) (v128.or
            (i32x4.shl (local.get $v3) (i32.const 8)) (i32x4.shr_u (local.get $v3) (i32.const 24)))))
          (local.set $v0 (i32x4.add (local.get $v0) (local.get $v3)))
          (local.set $v3 (v128.xor (local.get $v0) (v128.or
            (i32x4.shl (local.get $v3) (i32.const 7)) (i32x4.shr_u (local.get $v3) (i32.const 25)))))
          (local.set $v2 (i32x4.add (local.get $v2) (local.get $v1)))
          (local.set $v1 (v128.xor (local.get $v2) (v128.or
            (i32x4.shl (local.get $v1) (i32.const 13)) (i32x4.shr_u (local.get $v1) (i32.const 19)))))
          (local.set $v2 (v128.or
            (i32x4.shl (local.get $v2) (i32.const 16)) (i32x4.shr_u (local.get $v2) (i32.const 16))))
          (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
          (br_if $round (local.get $rounds)))
        (local.set $v0 (v128.xor (local.get $v0) (local.get $m)))
        (local.set $word (i32.add (local.get $word) (i32.const 1)))
        (br_if $blocks (i32.le_s (local.get $word) (local.get $words))))
      (v128.store (local.get $out) (v128.xor (local.get $v1) (local.get $v3)))
      (local.set $out (i32.add (local.get $out) (i32.const 16)))
      (local.set $at (i32.add (local.get $at) (local.get $stride)))
      (br_if $messages (i32.lt_s (local.get $at) (local.get $end))))))
