"""How each known mistake happens: the text of its section in docs/diagnoses.md."""

EXPLANATIONS = {
    "not_finite": (
        "The gradient is NaN or infinite at some elements where it should be a number, and "
        "right elsewhere. 0/0, 0·∞ or an overflow arises on the way. A where that picks the "
        "other branch afterwards does not help: its own gradient multiplies the NaN by 0, which "
        "is NaN. The argument must be made harmless before."
    ),
    "wrong_sign": (
        "got = −want. A minus sign is missing or there is one too many: in 1 − x, in a "
        "difference in a loss, or in a negative logarithm."
    ),
    "argument_constant": (
        "The gradient is zero everywhere although the output depends on the argument. Possible "
        "causes are stop_gradient, an argument in nondiff_argnums, or zeros that were returned "
        "to fill the tuple."
    ),
    "constant_factor": (
        "got = c·want, where c is one number or follows from the sizes. c = 1/N is a mean over "
        "the batch where the loss has already taken it. c equal to the window area is a mean "
        "pool that gave every input the whole cotangent, and H·W is the same for the whole "
        "image. ½ or 2 suggest the derivative of a square."
    ),
    "other_arguments_gradient": (
        "The gradient is that of another argument of the same shape: the rule returns the "
        "gradients in another order than that of its arguments."
    ),
    "conjugate_missing": (
        "Complex numbers: the gradient, the cotangent or the derivative is conjugated where it "
        "must not be, or only the real part is left. jax.vjp does not conjugate (see complex "
        "numbers), PyTorch does."
    ),
    "spatially_flipped": (
        "The gradient is reversed along one or several axes. For a convolution, dx is a "
        "correlation with the *flipped* kernel, and dw one without a flip."
    ),
    "channels_exchanged": (
        "The axes of the input and of the output channels of a kernel are exchanged. dx sums "
        "over output channels, and y sums over input channels. If their numbers are equal, the "
        "shapes do not show the mistake."
    ),
    "axes_swapped": (
        "Two other axes are exchanged. Possible causes are a matrix that was not transposed (dx "
        "= dy·w instead of dy·wᵀ), height and width in the wrong order, a reshape instead of a "
        "transpose (in the sentence: *read as if* axes were exchanged), or the Jacobian instead "
        "of its transpose."
    ),
    "shifted": (
        "The gradient is shifted by one or two positions along an axis. Either the backward "
        "pass has the padding p of the forward pass instead of k − 1 − p, or an output size was "
        "rounded. If the border contains neither zeros nor the numbers of the other end, the "
        "diagnosis explains only the interior."
    ),
    "stride_forgotten": (
        "The windows of the backward pass have another distance from each other than those of "
        "the forward pass."
    ),
    "dilation_forgotten": (
        "The elements of a window have another distance in the backward pass, usually 1. The "
        "kernel of a dilated convolution is spread in the gradient of the input, too, and in "
        "that of the kernel the dilation takes the place of the stride."
    ),
    "padding_forgotten": (
        "The windows of the backward pass begin at another position: the padding was left out, "
        "or taken twice. The gradient of the padded input has to be cut by the same padding, "
        "low before and high after."
    ),
    "border_wrong": (
        "The gradient is right in the interior. At the border it is zero, or wrong by a factor "
        "for each axis that ends there, or the outputs there have a wrong weight."
    ),
    "reduction_missing": (
        "A sum is missing: the gradient of a bias or scale is one slice of the array that "
        "should be summed, or a softmax gives y·dy without the sum of y·dy."
    ),
    "wrong_reduction": (
        "A sum is taken over the wrong axes, or the cotangent is averaged where it should not "
        "be. If the sizes are equal, the shapes do not show the mistake."
    ),
    "one_sample_only": (
        "Only the first or the last sample of the batch contributes, for example because a loop "
        "assigns dw = … instead of dw += …."
    ),
    "last_window_only": (
        "Each element gets the contribution of the last (or first) window that contains it, and "
        "not of all: the rule assigns where it should add, which matters only if windows "
        "overlap. Or the whole gradient is that of the last window, because a loop assigns dw = "
        "…."
    ),
    "cotangent_ignored": ("The gradient is that of Σ y or of a mean, whatever dy is."),
    "cotangent_squared": (
        "dy enters twice, or as |dy|. A rule must be linear in its cotangent, because it is a "
        "product with a transposed Jacobian."
    ),
    "output_ignored": (
        "The rule has several outputs, and the cotangent of one of them is ignored, or one "
        "alone is used."
    ),
    "cotangent_in_part": (
        "Only the first or last element of the cotangent is used, or the first or last index of "
        "one axis: for all elements, as if the cotangent were constant, or for its own place "
        "alone. Such a rule is right for the sum as a loss, whose cotangents are all alike."
    ),
    "triangle_wrong": (
        "The gradient is 0 on one side of the diagonal where it should not be, or not 0 where "
        "it should be: a causal mask is missing in the backward pass, or it begins one row too "
        "early or too late."
    ),
    "band_wrong": (
        "The gradient is 0 on some diagonals where it should not be, or not 0 where it should "
        "be: a mask that is a band around the diagonal or beside it, such as the window of "
        "local attention, is missing in the backward pass, or it is too wide or too narrow."
    ),
    "rows_wrong": (
        "The last indices of an axis are 0, or not 0 where they should be: rows of padding that "
        "count, or the tail of an axis whose length is not a multiple of a block."
    ),
    "mask_missing": (
        "The gradient is right where the right gradient is not zero, and not zero where it "
        "should be zero: dy passes where relu is 0, where dropout dropped an element, or to "
        "values that are not the maximum of a window."
    ),
    "mask_threshold": (
        "The gradient is wrong exactly where x (or y) lies in an interval: a mask has a wrong "
        "bound or only one of its two bounds, or the slope on one side is wrong."
    ),
    "diagonal_only": (
        "Each output is treated as if it depended on one input alone: dx = dy·∂yᵢ/∂xᵢ, as for "
        "an elementwise function."
    ),
    "mean_term_missing": (
        "The gradient of a normalization lacks the path through the mean: the mean of the "
        "cotangent is not subtracted."
    ),
    "variance_term_missing": (
        "The gradient of a normalization lacks the path through the variance, which is the term "
        "with x̂."
    ),
    "statistics_constant": (
        "The gradient of a normalization lacks both paths: dx = γ·r·dy, as if mean and variance "
        "did not depend on x."
    ),
    "statistics_given": (
        "Statistics that were given are differentiated as if they were computed from the batch, "
        "or the reverse. With given mean and variance (evaluation, running averages) the "
        "gradient of x is w/√(var + ε) · dy, without the two terms of the mean and the "
        "variance."
    ),
    "epsilon_forgotten": (
        "A normalization adds a small number to the variance, and the backward pass divides by "
        "the root of the variance alone. The checker finds this with a large argument, beside "
        "which that number vanishes."
    ),
    "parameter_changed": (
        "A parameter is used in another way than in the forward pass: w in place of 1 + w, w "
        "twice, or with a constant added. A forward pass that changes a parameter before it "
        "uses it must save the changed one, or change it again."
    ),
    "stale_residual": (
        "The backward pass reads a residual that another call saved, in a list, a global "
        "variable or an attribute of an object. The checker finds this by calling the rule with "
        "other arguments between its forward and its backward pass, and by a second call."
    ),
    "wrong_point": (
        "The derivative is right but evaluated at a wrong point: at y instead of x, at another "
        "argument, at −x, at 0, or with 1 in place of an argument."
    ),
    "other_derivative": (
        "The gradient of an elementwise function is that of another one which looks alike: the "
        "exact gelu beside its tanh approximation, relu beside relu6."
    ),
    "wrong_axis": (
        "The gradient is that of the same function over another axis: a softmax or a "
        "normalization runs along rows forward, and along columns backward."
    ),
    "wrong_operand": (
        "One step of the backward pass reads another array than it should, for example one that "
        "has been overwritten, or one from before a change. The sentence says which step and "
        "which array: with that one change, the gradient is right for all cotangents and shapes "
        "that were tried."
    ),
    "step_missing": (
        "One step of the backward pass is missing: a factor or a term. The sentence says where "
        "it belongs: with that one step more, the gradient is right for all cotangents and "
        "shapes that were tried."
    ),
    "step_extra": (
        "One step of the backward pass is one too many: a factor, a term or a function that is "
        "applied twice. The sentence says which one: without it, the gradient is right for all "
        "cotangents and shapes that were tried."
    ),
    "precision_lost": (
        "The gradient is right except for rounding errors that are too large for the dtype: an "
        "argument, the cotangent, the result or all intermediate numbers were converted to a "
        "narrower dtype. Common to all pages says in which dtype this library computes."
    ),
    "compiled_only": (
        "The gradient is right if the rule is called as it stands, and wrong under jax.jit. The "
        "rule asks for something that is another one there: whether a value is a tracer, a "
        "global variable that is read once while compiling, or a kernel that the compiler calls "
        "with other arguments."
    ),
    "batch_wrong": (
        "The gradient is right for one call, and wrong if jax.vmap maps over several: a "
        "batching rule of a primitive or a callback puts the new axis in the wrong place, or "
        "adds up over it."
    ),
    "unused_wrong": (
        "The gradient is right if every output is used and every argument differentiated. It is "
        "wrong if one of them is not: a rule with symbolic_zeros=True treats that case apart."
    ),
    "second_order_wrong": (
        "The first derivative is right, and the second wrong. The backward pass uses numbers "
        "that differentiation cannot follow, such as a residual behind stop_gradient, or a "
        "constant that was computed outside."
    ),
}
