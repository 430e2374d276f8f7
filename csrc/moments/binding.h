// The operators on moments in Python.
#pragma once
#include "bindings/backend.h"
#include "moments/moments.h"

namespace otoscope::bind {

template <Backend B>
Moments moments(const TensorArg& count, const TensorArg& mean, const TensorArg& scatter,
                std::int64_t sets, std::int64_t columns) {
    const Moments m{count.data<double>("count", B::kDevice, 1),
                    mean.data<double>("mean", B::kDevice, 2),
                    scatter.data<double>("scatter", B::kDevice, 3)};
    count.expect("count", {sets});
    mean.expect("mean", {sets, columns});
    scatter.expect("scatter", {sets, columns, columns});
    return m;
}

template <Backend B>
std::int64_t update_moments(const TensorArg& count, const TensorArg& mean, const TensorArg& scatter,
                            const TensorArg& features, const OptionalTensor& workspace,
                            typename B::Launch launch) {
    MomentsUpdateArgs a{};
    a.in = features.scalar("features");
    a.features = features.floats("features", B::kDevice, 3, a.in);
    a.sets = features.size(0), a.rows = features.size(1), a.columns = features.size(2);
    a.to = moments<B>(count, mean, scatter, a.sets, a.columns);
    if (workspace) a.workspace = workspace->data<double>("workspace", B::kDevice, 1);
    if ((workspace ? workspace->size(0) : 0) < workspace_of(a, launch))
        TensorArg::refuse("workspace", "is too short: see moments_workspace");
    a.row_parts = row_parts_of(a, launch);
    const std::int64_t widest = size_of(a.in) == 2 ? 8 : 16;  // bytes of an access
    a.has_wide_rows = a.columns % 4 == 0 &&
                      reinterpret_cast<std::uintptr_t>(a.features) % std::uintptr_t(widest) == 0;
    const KernelScope<B> scope(features, count, mean, scatter, workspace);
    return moments_update(a, launch);
}

template <Backend B>
void merge_moments(const TensorArg& count, const TensorArg& mean, const TensorArg& scatter,
                   const TensorArg& more_count, const TensorArg& more_mean,
                   const TensorArg& more_scatter, typename B::Launch launch) {
    MomentsMergeArgs a{};
    a.sets = mean.size(0), a.columns = mean.size(1);
    a.to = moments<B>(count, mean, scatter, a.sets, a.columns);
    a.from = moments<B>(more_count, more_mean, more_scatter, a.sets, a.columns);
    const KernelScope<B> scope(mean, count, scatter, more_count, more_mean, more_scatter);
    moments_merge(a, launch);
}

template <Backend B>
void define_moments(nb::module_& m) {
    using nb::arg;
    m.def(
        "moments_workspace",
        [](std::int64_t sets, std::int64_t rows, std::int64_t columns) {
            MomentsUpdateArgs a{};
            a.sets = sets, a.rows = rows, a.columns = columns;
            return workspace_of(a, typename B::Launch{});
        },
        arg("sets"), arg("rows"), arg("columns"));
    m.def("moments_update", &update_moments<B>, arg("count"), arg("mean"), arg("scatter"),
          arg("features"), arg("workspace").none(), arg(B::kLaunchName));
    m.def("moments_merge", &merge_moments<B>, arg("count"), arg("mean"), arg("scatter"),
          arg("more_count"), arg("more_mean"), arg("more_scatter"), arg(B::kLaunchName));
}

}  // namespace otoscope::bind
