"""Words for categories and channels, in Chinese and English, to the codes of the vocabulary."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from fieldkit import vocabulary
from fieldkit.intake.traditional import simplified

# What people and portals write besides the published names; the names themselves come from the vocabulary.
_CATEGORY_SYNONYMS = {
    "noise": "噪音 噪声扰民 noise nuisance|noise disturbance|noise complaint",
    "air": "大气污染 空气 废气 大气 air quality|air pollution|air|waste gas|exhaust gas|smoke or vapors",
    "water": "废水 污水 水污染 water quality|water pollution|wastewater|sewage",
    "solid_waste": (
        "固废 垃圾 固体废弃物 废渣 waste|garbage|rubbish|litter|trash|solid waste|electronic waste"
    ),
    "radiation": "辐射 电磁 radiation",
    "other": "其它 其他类 misc|miscellaneous|others",
    "ecology": "生态 ecology",
    "light": "光 光照 light|lighting|glare",
    "vibration": "振动 震动 vibration",
    "management": "环境管理类 permits",
    "air.odour": (
        "恶臭 异味 臭味 臭气 臭气扰民 odour|odor|odors|odours|smell|smells|bad smell|chemical odor"
    ),
    "air.dust": "粉尘 烟尘 烟粉尘 dust|smoke|smoke and dust",
    "air.industrial": "工业废气 企业废气 industrial emissions|stack emissions",
    "air.cooking_fume": (
        "油烟 餐饮油烟 厨房油烟 油烟扰民 cooking fumes|restaurant fumes|cooking smoke|kitchen fumes"
    ),
    "air.construction_dust": "扬尘 工地扬尘 施工扬尘 construction dust|fugitive dust",
    "air.open_burning": "露天焚烧 秸秆焚烧 焚烧 烧烤 open burning|burning|bonfire|bonfires|barbecue",
    "air.vehicle": "机动车尾气 尾气 汽车尾气 vehicle emissions|idling|engine idling",
    "noise.industrial": "工业噪声 工业噪音 工厂噪声 企业噪声 industrial noise|factory noise",
    "noise.construction": (
        "施工噪声 建筑噪声 工地噪声 施工噪音 夜间施工 建筑施工 construction noise|noise - "
        "construction|noise, construction"
    ),
    "noise.traffic": (
        "交通噪声 交通噪音 traffic noise|aircraft noise|road noise|noise - vehicle|noise - "
        "helicopter|noise - traffic"
    ),
    "noise.social.entertainment": (
        "娱乐噪声 娱乐场所 歌舞厅噪声 ktv噪声 酒吧噪声 社会生活噪声(娱乐) "
        "entertainment noise|bar noise|nightclub noise|noise - commercial|noise, bar|loud music"
    ),
    "noise.social.commercial_equipment": (
        "商业设备 空调噪声 风机噪声 冷却塔噪声 air conditioner noise|equipment noise|noise, ventilation"
    ),
    "noise.social.loudspeaker": (
        "高音喇叭 喇叭噪声 商业促销 loudspeaker|loudspeakers|noise - house of worship"
    ),
    "noise.social.public_activity": (
        "广场舞 广场舞噪声 square dancing|noise - park|noise - street/sidewalk|street noise"
    ),
    "noise.social.household": (
        "邻里噪声 家庭噪声 生活噪声 宠物噪声 犬吠 neighbour noise|neighbor noise|domestic noise|barking dog|"
        "noise - residential|residential noise|loud party"
    ),
    "noise.social.decoration": "装修噪声 装修 室内装修 renovation noise|decoration noise",
    "noise.lowfreq.transformer": "变压器 变压器噪声 箱变 transformer noise|transformer hum",
    "noise.lowfreq.distribution_room": (
        "配电房 配电室 配电房噪声 配电室噪声 distribution room noise|substation noise"
    ),
    "noise.lowfreq.pump": "水泵 泵房 水泵噪声 泵房噪声 pump noise",
    "noise.lowfreq.elevator": "电梯噪声 elevator noise|lift noise",
    "noise.lowfreq.hvac": "热泵 空调外机 冷却塔 hvac|heat pump|heat pump noise|cooling tower noise",
    "noise.lowfreq.heat_exchange": "换热站 换热站噪声 heat exchange station noise",
    "water.industrial": "工业废水 企业废水 industrial wastewater|industrial discharge",
    "water.domestic": "生活污水 污水外溢 下水道 sewage backup|sewer overflow|domestic sewage|sewer backup",
    "water.livestock": "养殖废水 畜禽养殖 养殖污染 livestock|manure runoff",
    "water.black_odorous": "黑臭水体 黑臭 black odorous water",
    "water.source_protection": "饮用水源 饮用水 水源地 drinking water|drinking water source",
    "waste.industrial": "工业固废 工业垃圾 industrial waste",
    "waste.hazardous": "危险废物 危废 医疗废物 hazardous waste|hazardous materials|asbestos|medical waste",
    "waste.domestic": (
        "生活垃圾 household waste|domestic waste|garbage in yard|garbage in alley|overflowing carts|"
        "dumpster not being emptied|illegal dumping|illegal dumping pickup|fly tipping|dumpster complaint|"
        "dirty condition"
    ),
    "waste.construction": "建筑垃圾 渣土 construction waste|construction debris",
    "rad.em": "电磁辐射 基站 基站辐射 electromagnetic|electromagnetic radiation|base station",
    "rad.ionising": "电离辐射 放射性 ionising radiation|ionizing radiation|radioactive",
    "light.pollution": "光污染 light pollution",
    "vib.environment": "环境振动 environmental vibration",
    "mgmt.eia_permit": "环评 环评审批 环保验收 未批先建 environmental permit|eia|no permit",
}

_CHANNEL_SYNONYMS = {
    "superior": (
        "上级交办 省厅转办 省厅交办 上级转交 transferred|referred by superior|council's office|"
        "councillor|elected official"
    ),
    "inspection_group": "督察转办 督察交办 中央环保督察 环保督察 inspection team|inspection group",
    "mayor_mailbox": "市长信箱 书记信箱 县长信箱 区长信箱 局长信箱 领导信箱 mayor's mailbox|mayor mailbox",
    "local_forum": "网络论坛 大话利州 问政平台 论坛 留言板 人民网留言 online forum|forum",
    "web": (
        "网络 网上 网站 网络举报 网上投诉 网络投诉 电子邮件 邮件 web|website|online|internet|self "
        "service|portal|email|e-mail|web form"
    ),
    "wechat": "微信 微信公众号 wechat|weixin",
    "app": "app 手机app 移动端 mobile|mobile app|smartphone app|android|iphone|ios|spot311 interface",
    "phone_12369": "12369 12369热线 12369电话 环保热线 12369环保举报热线",
    "phone_12345": "12345 12345热线 市长热线 政务热线 12345政务热线 mayor's hotline",
    "phone_other": (
        "电话 来电 电话举报 电话投诉 热线 值班电话 phone|telephone|call|call center|phone call|"
        "voicemail|hotline"
    ),
    "letter": "来信 信件 书信 信函 letter|mail|post|fax",
    "visit": "来访 上访 走访 现场 上门 visit|walk-in|in person|counter",
    "media": "媒体 新闻媒体 媒体报道 media|press|newspaper|social media|twitter",
    "proposal": "人大建议 政协提案 提案 建议提案 proposal",
    "unknown": "不详 未知 其他 其它 unknown|other|none",
}

_SEPARATORS = re.compile(r"\s*[;；|、]\s*")
_ENDINGS = re.compile(r"(?:类?污染|问题|类|扰民|投诉|举报| complaints?| pollution| nuisance)$")


def plain_term(text: str) -> str:
    """A term without differences of width, case, script (traditional Chinese) and spacing."""
    return " ".join(simplified(unicodedata.normalize("NFKC", text).casefold()).split())


def find_categories(text: str) -> tuple[str, ...]:
    """The codes that *text* names, the main one first; several may be separated by ``;``, ``|`` or ``、``.

    Empty when any part of it is not known: half a category would be a guess.
    """
    known = _category_terms()
    whole = plain_term(text)
    code = _find(whole, known)
    if code:
        return (code,)
    codes = [_find(part, known) for part in _SEPARATORS.split(whole) if part]
    return tuple(dict.fromkeys(code for code in codes if code)) if codes and all(codes) else ()


def find_channel(text: str) -> str:
    """The code of the channel that *text* names, or an empty string."""
    return _find(plain_term(text), _channel_terms())


def _find(term: str, known: dict[str, str]) -> str:
    if term in known:
        return known[term]
    shorter = _ENDINGS.sub("", term)
    return known.get(shorter, "") if shorter else ""


@cache
def _category_terms() -> dict[str, str]:
    names = {
        code: [c.zh, *re.split(r"[/、（）()…]+", c.zh), c.en] for code, c in vocabulary.categories().items()
    }
    return _terms(names, _CATEGORY_SYNONYMS)


@cache
def _channel_terms() -> dict[str, str]:
    names = {code: [c.zh, c.en] for code, c in vocabulary.channels().items()}
    return _terms(names, _CHANNEL_SYNONYMS)


def _terms(names: dict[str, list[str]], synonyms: dict[str, str]) -> dict[str, str]:
    terms = {code: code for code in names}
    for listed in (names, synonyms):
        for code, words in listed.items():
            for word in words if isinstance(words, list) else _words(words):
                if plain_term(word):
                    terms.setdefault(plain_term(word), code)
    return terms


def _words(line: str) -> list[str]:
    """Chinese words are separated by spaces, English phrases behind them by bars."""
    words: list[str] = []
    for part in line.split("|"):
        pieces = part.split(" ")
        chinese = max((i + 1 for i, piece in enumerate(pieces) if not piece.isascii()), default=0)
        words += [*pieces[:chinese], " ".join(pieces[chinese:])]
    return words
