extension TemplateRegistry {
    /// The built-in entries: to add one, write its row here.
    ///
    /// `Documentation/Templates.md` describes the fields.
    static let templates: [HeaderTemplate] = [
        // Llama 3.1, 3.2 and 3.3 Instruct, with SpecForge's system prompt. The dates are those of the models' own
        // template when no date is given.
        HeaderTemplate(
            name: "llama3",
            assistantHeader: "<|start_header_id|>assistant<|end_header_id|>\n\n",
            userHeader: "<|start_header_id|>user<|end_header_id|>\n\n",
            systemPrompt: """
                You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being \
                safe.  Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or \
                illegal content. Please ensure that your responses are socially unbiased and positive in nature.

                If a question does not make any sense, or is not factually coherent, explain why instead of answering \
                something not correct. If you don't know the answer to a question, please don't share false information.
                """,
            endOfTurnToken: "<|eot_id|>",
            systemHeader: "<|start_header_id|>system<|end_header_id|>\n\n",
            systemPrefix: "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
            beginsWithBOS: true,
            trimsSystem: true,
            trimsContent: true),
        // Llama 4 Scout and Maverick Instruct.
        HeaderTemplate(
            name: "llama4",
            assistantHeader: "<|header_start|>assistant<|header_end|>\n\n",
            userHeader: "<|header_start|>user<|header_end|>\n\n",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|eot|>",
            systemHeader: "<|header_start|>system<|header_end|>\n\n",
            beginsWithBOS: true,
            trimsSystem: true),
        // Qwen2 and Qwen2.5 Instruct, and SmolLM2: ChatML with a system prompt.
        HeaderTemplate(
            name: "qwen",
            assistantHeader: "<|im_start|>assistant\n",
            userHeader: "<|im_start|>user\n",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|im_end|>\n",
            systemHeader: "<|im_start|>system\n"),
        // Phi-3 and Phi-3.5 Instruct. The text ends with the eos token, which no turn of the assistant includes.
        HeaderTemplate(
            name: "phi3",
            assistantHeader: "<|assistant|>\n",
            userHeader: "<|user|>\n",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|end|>\n",
            systemHeader: "<|system|>\n",
            endsWithEOS: true),
        // Phi-4.
        HeaderTemplate(
            name: "phi4",
            assistantHeader: "<|im_start|>assistant<|im_sep|>",
            userHeader: "<|im_start|>user<|im_sep|>",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|im_end|>",
            systemHeader: "<|im_start|>system<|im_sep|>"),
        // ChatML as OpenAI described it: no system prompt of its own.
        HeaderTemplate(
            name: "chatml",
            assistantHeader: "<|im_start|>assistant\n",
            userHeader: "<|im_start|>user\n",
            systemPrompt: nil,
            endOfTurnToken: "<|im_end|>\n",
            systemHeader: "<|im_start|>system\n",
            toolHeader: "<|im_start|>tool\n"),
        // LFM2 Instruct: ChatML without a system prompt.
        HeaderTemplate(
            name: "lfm",
            assistantHeader: "<|im_start|>assistant\n",
            userHeader: "<|im_start|>user\n",
            systemPrompt: "",
            endOfTurnToken: "<|im_end|>\n"),
        // Phi-4-mini.
        HeaderTemplate(
            name: "phi4-mini",
            assistantHeader: "<|assistant|>",
            userHeader: "<|user|>",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|end|>"),
        // gpt-oss by plain headers: only answers that begin with an analysis, as SpecForge has it. The model's template
        // writes none for answers without one; `gpt-oss` marks every answer.
        HeaderTemplate(
            name: "gpt-oss-naive",
            assistantHeader: "<|start|>assistant<|channel|>analysis<|message|>",
            userHeader: "<|start|>user<|message|>",
            systemPrompt: nil,
            endOfTurnToken: "<|end|>"),
        // gpt-oss in the harmony format: all that the assistant writes, the channels' names among it.
        HeaderTemplate(
            name: "gpt-oss",
            assistantHeader: "<|start|>assistant",
            userHeader: "<|start|>user<|message|>",
            systemPrompt: nil,
            endOfTurnToken: "",
            parserType: .harmony),
        // DeepSeek-R1's distilled models; a turn ends where the template's text of it does.
        HeaderTemplate(
            name: "deepseek-r1-distill",
            assistantHeader: "<｜Assistant｜>",
            userHeader: "<｜User｜>",
            systemPrompt: nil,
            endOfTurnToken: ""),
        // Qwen3 with thoughts.
        HeaderTemplate(
            name: "qwen3-thinking",
            assistantHeader: "<|im_start|>assistant\n",
            userHeader: "<|im_start|>user\n",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|im_end|>\n",
            parserType: .thinking,
            enableThinking: true),
        // Qwen3 without thoughts: the empty block of thoughts isn't supervised.
        HeaderTemplate(
            name: "qwen3-instruct",
            assistantHeader: "<|im_start|>assistant\n",
            userHeader: "<|im_start|>user\n",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|im_end|>\n",
            ignoredTexts: ["<think>\n\n</think>\n\n"]),
        // Qwen3-Next with thoughts, which the prompt opens.
        HeaderTemplate(
            name: "qwen3-next-thinking",
            assistantHeader: "<|im_start|>assistant\n<think>\n",
            userHeader: "<|im_start|>user\n",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|im_end|>\n",
            parserType: .thinking,
            enableThinking: true),
        // Qwen3.5 with thoughts, which the prompt opens.
        HeaderTemplate(
            name: "qwen3.5",
            assistantHeader: "<|im_start|>assistant\n<think>\n",
            userHeader: "<|im_start|>user\n",
            systemPrompt: "",
            endOfTurnToken: "<|im_end|>\n",
            parserType: .thinking,
            enableThinking: true),
        // Kimi K2 Thinking. SpecForge has a user's header of ChatML, which Kimi doesn't write.
        HeaderTemplate(
            name: "kimi-k2-thinking",
            assistantHeader: "<|im_assistant|>assistant<|im_middle|>",
            userHeader: "<|im_user|>user<|im_middle|>",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|im_end|>",
            parserType: .thinking,
            enableThinking: true),
        // Kimi K2 Instruct. SpecForge has a user's header of ChatML, which Kimi doesn't write.
        HeaderTemplate(
            name: "kimi-k2-instruct",
            assistantHeader: "<|im_assistant|>assistant<|im_middle|>",
            userHeader: "<|im_user|>user<|im_middle|>",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|im_end|>"),
        // Kimi K3: supervised from within the block of thoughts on, without the token that ends the message.
        HeaderTemplate(
            name: "kimi-k3-thinking",
            assistantHeader: "<|open|>message role=\"assistant\"<|sep|><|open|>think<|sep|>",
            userHeader: "<|open|>message role=\"user\"<|sep|>",
            systemPrompt: nil,
            endOfTurnToken: "<|end_of_msg|>",
            parserType: .thinking,
            ignoredTexts: ["<|end_of_msg|>"]),
        // DeepSeek-V3.
        HeaderTemplate(
            name: "deepseek-v3",
            assistantHeader: "<｜Assistant｜>",
            userHeader: "<｜User｜>",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<｜end▁of▁sentence｜>"),
        // DeepSeek-V2, whose headers are plain text.
        HeaderTemplate(
            name: "deepseek-v2",
            assistantHeader: "Assistant: ",
            userHeader: "User: ",
            systemPrompt: nil,
            endOfTurnToken: "<｜end▁of▁sentence｜>"),
        // DeepSeek-V3.2 with thoughts.
        HeaderTemplate(
            name: "deepseek-v32",
            assistantHeader: "<｜Assistant｜>",
            userHeader: "<｜User｜>",
            systemPrompt: "",
            endOfTurnToken: "<｜end▁of▁sentence｜>",
            parserType: .thinking,
            enableThinking: true),
        // Ling-flash-2.0.
        HeaderTemplate(
            name: "ling-flash-2.0",
            assistantHeader: "<role>ASSISTANT</role>",
            userHeader: "<role>HUMAN</role>",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<|role_end|>"),
        // GLM-5.2 without thoughts; a turn ends with the next one's header, which isn't supervised.
        HeaderTemplate(
            name: "glm-5.2",
            assistantHeader: "<|assistant|><think>",
            userHeader: "<|user|>",
            systemPrompt: nil,
            endOfTurnToken: "<|user|>",
            parserType: .glm,
            assistantPattern: .glm,
            ignoredTexts: ["<|user|>"]),
        // Gemma 2 and 3.
        HeaderTemplate(
            name: "gemma",
            assistantHeader: "<start_of_turn>model\n",
            userHeader: "<start_of_turn>user\n",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "<end_of_turn>\n"),
        // LongCat-Flash.
        HeaderTemplate(
            name: "longcat",
            assistantHeader: " ASSISTANT:",
            userHeader: " USER:",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "</longcat_s>",
            assistantPattern: .longcat),
        // LongCat-Flash with tags.
        HeaderTemplate(
            name: "longcat_xml",
            assistantHeader: "<longcat_assistant>",
            userHeader: "<longcat_user>",
            systemPrompt: "You are a helpful assistant.",
            endOfTurnToken: "</longcat_s>"),
        // Inkling with thoughts; a turn ends with the next one's header, which isn't supervised.
        HeaderTemplate(
            name: "inkling-thinking",
            assistantHeader: "<|message_model|>",
            userHeader: "<|message_user|>",
            systemPrompt: nil,
            endOfTurnToken: "<|message_user|>",
            parserType: .thinking,
            assistantPattern: .inkling,
            enableThinking: true,
            ignoredTexts: ["<|message_user|>", "<|message_tool|>", "<|message_system|>"]),
    ]
}
