"""Convolution, pooling, attention, positions and sequence to sequence."""

from jaxdl.site.sheet.entry import SheetEntry, SheetGroup

CONVOLUTION = SheetGroup(
    "Convolution",
    (
        SheetEntry(
            55,
            "convolution",
            "Convolution",
            "a small filter at every place",
            "A filter of 3x3, 5x5 or 7x7 weights is laid on every place of the input, multiplied and summed. The stride is the "
            "step between places, the padding the zeros around the input.",
            "Use 3x3 filters with padding 1, which keep the size, and stride 2 to halve it. Two 3x3 filters replace a 5x5 "
            "filter.",
            r"\mathrm{out} = \left\lfloor \frac{\mathrm{in} - k + 2 p}{s} \right\rfloor + 1",
            ("layers.convolution:Conv", "layers.arithmetic:convolution_output_size"),
            (
                "tests/layers/test_convolution.py::test_layers_equal_pytorch",
                "tests/layers/test_arithmetic.py::test_convolution_output_size_is_pytorchs",
            ),
            "LeCun et al. 1989; arithmetic: Dumoulin and Visin 2016, arXiv:1603.07285",
            "F.conv2d(x.permute(0, 3, 1, 2), k.permute(3, 2, 0, 1), padding=1).permute(0, 2, 3, 1)",
            "convolve(x, k, padding=1)",
            experiments=("digits_cnn",),
            claims=(58, 2),
            related=("pooling", "cnn", "typical-cnn", "mobilenet"),
            aliases=("nn.Conv2d", "stride", "padding", "kernel", "output size", "receptive field"),
            notebook="06_convolution_and_vision",
        ),
        SheetEntry(
            56,
            "pooling",
            "Pooling",
            "the maximum or the mean of each window",
            "A window, usually 2x2 with stride 2, is replaced by its maximum or its mean. The map has a quarter of the places, "
            "and a pattern may move a little without a change.",
            "Use max-pooling inside a CNN and the mean over the whole map before the last layer. A convolution with stride 2 "
            "is the alternative.",
            r"y_{o} = \max_{t \in \mathrm{window}(o)} x_t, \qquad \mathrm{out} = \left\lfloor \frac{\mathrm{in} - k}{s} "
            r"\right\rfloor + 1",
            ("layers.pooling:max_pool", "layers.pooling:avg_pool"),
            (
                "tests/layers/test_pooling.py::test_max_pool_is_pytorchs_ties_included",
                "tests/layers/test_pooling.py::test_avg_pool_is_pytorchs",
            ),
            "Riesenhuber and Poggio 1999; LeCun et al. 1998",
            "F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)",
            "max_pool(x)",
            experiments=("digits_cnn",),
            claims=(59, 2),
            related=("convolution", "cnn", "typical-cnn"),
            aliases=("max pooling", "average pooling", "nn.MaxPool2d", "nn.AvgPool2d"),
            notebook="06_convolution_and_vision",
        ),
    ),
)

ATTENTION = SheetGroup(
    "Attention and sequence to sequence",
    (
        SheetEntry(
            57,
            "attention",
            "Scaled dot-product attention",
            "a weighted mean of values, by likeness of keys",
            "Each query is compared with every key. The softmax of the scores gives weights, and the result is the weighted "
            "mean of the values. The factor 1/√d keeps the scores from growing with the width.",
            "Use it to let positions exchange information. A causal mask hides the future, a padding mask what is not there.",
            r"\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left( \frac{Q K^{\mathsf{T}}}{\sqrt{d}} \right) V",
            ("layers.attention:attention_weights", "layers.attention:dot_product_attention"),
            (
                "tests/layers/test_attention.py::test_scaled_dot_product_attention_is_pytorchs",
                "tests/layers/test_sequence_onnx.py::test_attention",
            ),
            "Vaswani et al. 2017, arXiv:1706.03762, equation 1",
            "F.scaled_dot_product_attention(q, q, q, is_causal=True)",
            "dot_product_attention(*[q.swapaxes(1, 2)] * 3, causal=True).swapaxes(1, 2)",
            experiments=("char_lm",),
            claims=(60,),
            related=("multi-head-attention", "positional-encoding", "transformer", "seq2seq"),
            aliases=("self-attention", "QKV", "SDPA", "causal mask"),
            notebook="08_attention",
        ),
        SheetEntry(
            58,
            "multi-head-attention",
            "Multi-head attention",
            "several attentions beside each other",
            "The channels are split among heads. Each head has its own queries, keys and values, so that each can look "
            "elsewhere. The results are joined by a dense layer.",
            "Use 64 channels a head as a start. Grouped heads share keys and values and make generation cheaper.",
            r"\mathrm{MultiHead}(x) = [\,\mathrm{head}_1;\; \ldots;\; \mathrm{head}_h\,]\, W_O, \qquad \mathrm{head}_i = "
            r"\mathrm{Attention}(x W_i^Q,\, x W_i^K,\, x W_i^V)",
            ("layers.attention:MultiHead",),
            (
                "tests/layers/test_attention.py::test_multi_head_is_pytorchs_with_its_weights",
                "tests/layers/test_attention.py::test_grouped_heads_are_heads_with_repeated_keys",
            ),
            "Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2",
            "nn.MultiheadAttention(8, 2)",
            "MultiHead(8, 2)",
            sample=(6, 8),
            experiments=("char_lm", "number_words"),
            claims=(63,),
            related=("attention", "transformer"),
            aliases=("MHA", "GQA", "nn.MultiheadAttention", "cross-attention"),
            notebook="08_attention",
        ),
        SheetEntry(
            59,
            "positional-encoding",
            "Positional encoding",
            "where a token stands",
            "Attention alone does not see the order. Sines and cosines of many wavelengths, added to the tokens, mark each "
            "position. Relative forms (rotary, ALiBi, T5) put the distance into the scores instead.",
            "Use rotary positions in new language models, learned or sine positions where a recipe has them.",
            r"PE_{p,\,2i} = \sin\!\left( \frac{p}{10000^{2i/d}} \right), \qquad PE_{p,\,2i+1} = \cos\!\left( "
            r"\frac{p}{10000^{2i/d}} \right)",
            ("layers.position:sinusoidal", "layers.position:rotary", "layers.position:ALiBi"),
            (
                "tests/layers/test_position.py::test_sinusoidal_table",
                "tests/layers/test_sequence_onnx.py::test_rotary_embedding",
                "tests/layers/test_position.py::test_alibi_slopes_are_the_papers",
            ),
            "Vaswani et al. 2017, arXiv:1706.03762; rotary: Su et al. 2021, arXiv:2104.09864; ALiBi: Press et al. 2021, "
            "arXiv:2108.12409",
            without="PyTorch has none.",
            experiments=("char_lm", "digits_vit"),
            claims=(61, 62),
            related=("attention", "transformer", "vit"),
            aliases=("RoPE", "rotary", "ALiBi", "sinusoidal", "relative positions"),
            notebook="08_attention",
        ),
        SheetEntry(
            60,
            "seq2seq",
            "Sequence to sequence, with attention",
            "an encoder reads, a decoder writes and looks back",
            "An encoder reads the source. A decoder writes the target one token at a time, and at each step attends to the "
            "encoder's states, so that no single vector must hold the whole source.",
            "Use it for translation and transcription of short sequences. A Transformer encoder-decoder does the same without "
            "recurrence.",
            r"\alpha_{tj} = \mathrm{softmax}_j\, e(s_{t-1}, h_j), \qquad c_t = \sum_j \alpha_{tj} h_j",
            ("models.seq2seq:Seq2Seq", "layers.alignment:Bahdanau", "layers.alignment:Luong"),
            (
                "tests/layers/test_alignment.py::test_alignment_is_its_formula",
                "tests/models/test_seq2seq.py::test_teacher_forcing_is_the_steps_one_by_one_and_padding_changes_nothing",
            ),
            "Sutskever et al. 2014, arXiv:1409.3215; Bahdanau et al. 2014, arXiv:1409.0473",
            without="PyTorch has no class for it.",
            experiments=("number_words", "translate"),
            claims=(64,),
            related=("lstm", "attention", "translation-and-text", "transformer"),
            aliases=("encoder-decoder", "Bahdanau", "Luong", "teacher forcing", "beam search"),
            notebook="09_translation_and_speech",
        ),
    ),
)
