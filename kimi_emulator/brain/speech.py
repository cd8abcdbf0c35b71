"""What the built-in model says, in the language of the question: English, or Chinese."""

from __future__ import annotations

from ..text import is_chinese

CHINESE = {
    "Hello! How can I help you today?": "你好！有什么可以帮你的？",
    "I'm doing well, thank you for asking! How can I help you today?": "我很好，谢谢关心！有什么可以帮你的？",
    "You're welcome! Is there anything else I can help you with?": "不客气！还有什么可以帮你的？",
    "I am a local emulator of the Kimi API: I answer like a chat model, but no language model is behind me.": (
        "我是 Kimi API 的本地模拟器：我像聊天模型一样作答，但背后没有语言模型。"
    ),
    'You asked: "{question}".': "你问的是：“{question}”。",
    " I am a local emulator of the Kimi API, so I have no knowledge of my own to answer that from. "
    "Give me tools or context and I will work with them.": (
        "我是 Kimi API 的本地模拟器，自己没有知识可以回答它。给我工具或上下文，我就能用上。"
    ),
    " I can see {number} attachment(s), but not what is in them.": "我看到 {number} 个附件，但看不出里面是什么。",
    "Here is what I found:": "结果如下：",
    "Here is what I found: {said}": "结果如下：{said}",
    "That did not work: {said}": "没有成功：{said}",
    "{name} says: {result}.": "{name} 返回：{result}。",
    "{name} for {given} says: {result}.": "{name}（{given}）返回：{result}。",
    "{name} reported an error: {result}.": "{name} 报错：{result}。",
    "{name} for {given} reported an error: {result}.": "{name}（{given}）报错：{result}。",
    "The context does not say anything about that.": "给出的内容里没有提到这一点。",
    'The user asks: "{question}".': "用户问：“{question}”。",
    "I have seen what {names} returned: {result}.": "{names} 返回了：{result}。",
    "{names} reported an error, so I should say so instead of guessing.": "{names} 报错了，应该如实说明，而不是猜测。",
    "The tools at hand are {names}.": "可用的工具有 {names}。",
    "I will call {names}.": "我来调用 {names}。",
    "Once the results are there, I can answer.": "有了结果就可以回答。",
    "No further tool is needed.": "不再需要别的工具。",
    "No tool is needed for this.": "这里不需要工具。",
    "I was given {number} lines to answer from.": "给出了 {number} 行内容。",
    'I was given {number} lines to answer from. The nearest is: "{line}"': "给出了 {number} 行内容，最接近：“{line}”。",
    "I look at what the picture shows.": "看看图片里是什么。",
    "Let me check that the answer fits the question, then give it.": "确认答案与问题相符，然后作答。",
}


def say(asked: str, said: str, /, **parts: object) -> str:
    """Say something in the language of a question.

    Args:
        asked: The question.
        said: What to say, in English, which is what comes where there is no Chinese for it; with names in braces where
            `parts` go.
        parts: What is put in.
    """
    return (CHINESE.get(said, said) if is_chinese(asked) else said).format(**parts)
