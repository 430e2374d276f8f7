// The moments operators as one backend's module offers them.
#pragma once
#include "ops.h"
#include "otoscope/moments.h"
#include "otoscope/moments_block.h"

namespace otoscope::bind {

template <class Backend>
Moments moments(const TensorArg& count, const TensorArg& mean, const TensorArg& scatter,
                std::int64_t sets, std::int64_t columns) {
    constexpr Place at = Backend::kPlace;
    const Moments m{count.data<double>("count", at, 1), mean.data<double>("mean", at, 2),
                    scatter.data<double>("scatter", at, 3)};
    count.expect("count", {sets});
    mean.expect("mean", {sets, columns});
    scatter.expect("scatter", {sets, columns, columns});
    return m;
}

template <class Backend>
std::int64_t moments_update(const TensorArg& count, const TensorArg& mean, const TensorArg& scatter,
                            const TensorArg& features, const OptionalTensor& parts,
                            typename Backend::Last last) {
    constexpr Place at = Backend::kPlace;
    MomentsUpdateArgs a{};
    a.in = features.scalar("features");
    a.features = features.floats("features", at, 3, a.in);
    a.sets = features.size(0), a.rows = features.size(1), a.columns = features.size(2);
    a.to = moments<Backend>(count, mean, scatter, a.sets, a.columns);
    if (parts) a.parts = parts->data<double>("parts", at, 3);
    if (Backend::kNeedsParts && (!parts || parts->size(1) != kParts))
        TensorArg::wrong_value("parts", "want [set, 64, column]");
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(features.dl.device.device_id);
    return Backend::moments_update(a, last);
}

template <class Backend>
void moments_merge(const TensorArg& count, const TensorArg& mean, const TensorArg& scatter,
                   const TensorArg& more_count, const TensorArg& more_mean,
                   const TensorArg& more_scatter, typename Backend::Last last) {
    MomentsMergeArgs a{};
    a.sets = mean.size(0), a.columns = mean.size(1);
    a.to = moments<Backend>(count, mean, scatter, a.sets, a.columns);
    a.from = moments<Backend>(more_count, more_mean, more_scatter, a.sets, a.columns);
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(mean.dl.device.device_id);
    Backend::moments_merge(a, last);
}

template <class Backend>
void define_moments(nb::module_& m) {
    using nb::arg;
    m.def("needs_parts", [] { return Backend::kNeedsParts; });
    m.def("moments_update", &moments_update<Backend>, arg("count"), arg("mean"), arg("scatter"),
          arg("features"), arg("parts").none(), arg(Backend::kLast));
    m.def("moments_merge", &moments_merge<Backend>, arg("count"), arg("mean"), arg("scatter"),
          arg("more_count"), arg("more_mean"), arg("more_scatter"), arg(Backend::kLast));
}

}  // namespace otoscope::bind
