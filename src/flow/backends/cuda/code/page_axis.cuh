// Operators over the pages of a row, by a block. A value is a function of (page, element).
namespace vortex::flow_code {

struct Range {
  int begin, end;
  int size() const { return end - begin; }
};

/// finish(page, x, top, sum) of each number x of a column; sum is of term(x, top) over the middle.
template <class Threads, class X, class Prepare, class Term, class Finish>
void over_column(const Threads& threads, Range middle, const X& x, const Prepare& prepare, const Term& term,
                 const Finish& finish) {
  float top = -infinity();
#pragma unroll 4
  for (int s = middle.begin + threads.first(); s < middle.end; s += threads.step()) top = fmaxf(top, prepare(x(s)));
  top = threads.top(top);
  float sum = 0;
#pragma unroll 4
  for (int s = middle.begin + threads.first(); s < middle.end; s += threads.step()) sum += term(prepare(x(s)), top);
  sum = threads.sum(sum);
#pragma unroll 4
  for (int s = middle.begin + threads.first(); s < middle.end; s += threads.step()) finish(s, prepare(x(s)), top, sum);
}

template <int kType, int kElements, class In, class Prepare, class Term, class Value>
void over_pages(float* room, Range middle, const In& in, const Prepare& prepare, const Term& term, const Value& value,
                float* out) {
  const auto column = [&](const auto& threads, int e) {
    over_column(
        threads, middle, [&](int s) { return in(s, e); }, prepare, term,
        [&](int s, float x, float top, float sum) {
          out[int64_t{s} * kElements + e] = round_to<kType>(value(x, top, sum));
        });
  };
  if constexpr (kElements >= 8) {
    for (int e = Block().warp(); e < kElements; e += Block().warps()) column(OneWarp(), e);
  } else {
    for (int e = 0; e < kElements; ++e) column(WholeBlock{room}, e);
  }
}

template <int kType, int kElements, class In>
void softmax(float* room, Range middle, float scale, const In& in, float* out) {
  over_pages<kType, kElements>(
      room, middle, in, [=](float x) { return scale * x; }, [](float x, float top) { return expf(x - top); },
      [](float x, float top, float sum) { return expf(x - top) / sum; }, out);
}

template <int kType, int kElements, class In>
void normalize(float* room, Range middle, const In& in, float* out) {
  over_pages<kType, kElements>(
      room, middle, in, [](float x) { return x; }, [](float x, float) { return x * x; },
      [](float x, float, float sum) { return x / fmaxf(sqrtf(sum), 1e-12f); }, out);
}

template <int kType, int kElements, class In>
void convolve(Range middle, int taps, const float* weight, const In& in, float* out) {
  for (int64_t i = threadIdx.x; i < int64_t{middle.size()} * kElements; i += blockDim.x) {
    const int s = middle.begin + static_cast<int>(i / kElements), e = static_cast<int>(i % kElements);
    float sum = 0;
    for (int t = 0; t < taps && s - t >= middle.begin; ++t) sum += weight[int64_t{t} * kElements + e] * in(s - t, e);
    out[int64_t{s} * kElements + e] = round_to<kType>(sum);
  }
}

/// Reduces the middle to one value.
template <int kOp, int kElements, class In>
void reduce_pages(float* room, Range middle, const In& in, float* out) {
  if constexpr (kElements >= 8) {
    for (int e = Block().warp(); e < kElements; e += Block().warps()) {
      const float value = reduce<kOp>(OneWarp(), middle.size(), [&](int t) { return in(middle.begin + t, e); });
      if (lane_id() == 0) out[e] = value;
    }
  } else {
    for (int e = 0; e < kElements; ++e) {
      const float value = reduce<kOp>(WholeBlock{room}, middle.size(), [&](int t) { return in(middle.begin + t, e); });
      if (threadIdx.x == 0) out[e] = value;
    }
  }
}

template <int kElements>
void clear_pages(int begin, int end, float* out) {
  for (int64_t i = int64_t{begin} * kElements + threadIdx.x; i < int64_t{end} * kElements; i += blockDim.x) out[i] = 0;
}

}  // namespace vortex::flow_code
