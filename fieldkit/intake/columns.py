"""Which column of a table feeds which field: guessed from English and Chinese headers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from fieldkit.intake.traditional import simplified


def _headers(words: str) -> tuple[str, ...]:
    return tuple(words.split())


#: Fields of a complaint with the headers they are recognised by, best first, as :func:`plain_header` writes them.
FIELDS: dict[str, tuple[str, ...]] = {
    "number": _headers(
        "number complaintnumber complaintno complaintid casenumber caseno caseid srnumber servicerequestid "
        "servicerequestnumber servicerequestno requestid requestnumber uniquekey referencenumber reference "
        "ticketid ticketnumber registrationno id objectid 投诉编号 举报编号 信访编号 受理编号 工单编号 "
        "工单号 受理号 登记编号 登记号 信访件编号 案件编号 案号 编号 编码 单号 流水号 序号"
    ),
    "received_at": _headers(
        "receivedat received receiveddate receiveddatetime datereceived timereceived receiptdate "
        "requesteddatetime requesteddate createddate created createdat datecreated creationdate "
        "createddatetime complaintdate complainttime datecomplaintreceived reportedat reporteddate "
        "reporteddatetime datereported reportdate opened opendate openedat opendt submittedat submitdate "
        "submissiontime datetime date timestamp time 受理时间 受理日期 接收时间 接收日期 收到时间 收到日期 "
        "投诉时间 投诉日期 举报时间 举报日期 信访时间 信访日期 来电时间 来电日期 来访时间 来信日期 "
        "来信来访日期 反映时间 反映日期 登记时间 登记日期 接报时间 接件时间 提交时间 上报时间 录入时间 "
        "创建时间 日期 时间"
    ),
    "received_time": _headers(
        "receivedtime timeofreceipt createdtime timeofday time hhmm 受理时刻 具体时间 时刻 时分 时间"
    ),
    "received_hour": _headers("hour hourlocal hourofday receivedhour 小时 时段小时 钟点"),
    "occurred_at": _headers(
        "occurredat occurred dateoccurred occurrencedate incidentdate incidenttime eventdate observedat "
        "incidentdatetime 发生时间 发生日期 污染时间 污染发生时间 扰民时间 事发时间"
    ),
    "closed_at": _headers(
        "closedat closed closeddate closedate closeddatetime dateclosed completed completeddate "
        "completiondate completedat resolvedat resolved resolutiondate closeddt 办结时间 办结日期 结案时间 "
        "结案日期 完成时间 完成日期 处理完成时间 答复时间"
    ),
    "channel": _headers(
        "channel channeltype opendatachanneltype requestsource methodreceived methodreceiveddescription "
        "complaintchannel intakechannel origin receivedvia source 来源渠道 投诉渠道 举报渠道 信访渠道 "
        "受理渠道 渠道 举报方式 投诉方式 信访方式 反映方式 信访形式 举报途径 信访来源 投诉来源 案件来源 来源 "
        "途径"
    ),
    "category": _headers(
        "category complainttype complaintcategory pollutiontype pollutioncategory requesttype servicename "
        "nature natureofcomplaint issuetype problemtype subcategory type servicecode 污染类型 污染类别 "
        "污染种类 投诉类型 投诉类别 举报类型 举报类别 信访类型 信访类别 问题类型 问题类别 污染要素 要素 类型 "
        "类别 分类 种类"
    ),
    "text": _headers(
        "text complainttext description complaintdescription problemdescription details complaintdetails "
        "complaint content narrative comments descriptor summary subject 投诉内容 举报内容 信访内容 反映内容 "
        "反映问题 主要内容 诉求内容 问题描述 内容描述 情况描述 投诉事项 反映事项 信访事项 诉求 内容 描述 "
        "摘要 标题"
    ),
    "translation": _headers(
        "translation englishtranslation textenglish texten translatedtext 英文译文 译文 英文"
    ),
    "address": _headers(
        "address incidentaddress locationaddress streetaddress complaintaddress siteaddress problemaddress "
        "addressstring place site location locationdescription 污染地址 污染地点 污染源地址 投诉地址 "
        "投诉地点 举报地址 被投诉地址 被举报地址 事发地址 事发地点 发生地点 发生地址 问题地址 详细地址 地点 "
        "地址 位置"
    ),
    "district": _headers(
        "district county borough administrativedistrict apc ward 所属区县 行政区划 行政区 所属区域 所在区县 "
        "属地 区县 县区 辖区 区域"
    ),
    "community": _headers(
        "community neighborhood neighbourhood neighborhoodcouncil estate housingestate communityarea "
        "communityboard ncname subdistrict 所属社区 所在社区 小区名称 社区名称 小区 社区 街道 乡镇"
    ),
    "suspected_source": _headers(
        "suspectedsource suspectedpolluter polluter allegedsource noisesource sourceofpollution sourcename "
        "respondent company facility facilityname 污染源名称 污染源 噪声源 被投诉人 被举报人 被投诉对象 "
        "被投诉单位 被举报单位 被举报对象 "
        "投诉对象 举报对象 涉及单位 涉事单位 涉事企业 污染单位 企业名称 单位名称 疑似污染源"
    ),
    "lon": _headers("lon lng long longitude lonwgs84 xlon 经度 东经 x xcoord"),
    "lat": _headers("lat latitude latwgs84 ylat 纬度 北纬 y ycoord"),
    "count": _headers(
        "count complaints complaintcount numberofcomplaints ncomplaints n frequency 投诉数量 投诉件数 "
        "举报件数 件数 数量 次数 投诉次数"
    ),
}

#: Fields of the complainant, who is kept apart from the complaint.
PERSON_FIELDS: dict[str, tuple[str, ...]] = {
    "name": _headers("name fullname contactname contact contactperson 姓名 联系人 联系人姓名"),
    "phone": _headers(
        "phone phonenumber telephone telephonenumber tel mobile mobilephone mobilenumber contactnumber "
        "contactphone callerid callernumber 联系电话 联系方式 电话 电话号码 手机 手机号 手机号码 来电号码 "
        "主叫号码 联系手机"
    ),
    "address": _headers(
        "homeaddress contactaddress mailingaddress residence 联系地址 住址 家庭住址 家庭地址 通讯地址"
    ),
    "email": _headers("email emailaddress mail 邮箱 电子邮箱 电子邮件 邮箱地址"),
    "identity_number": _headers(
        "identitynumber idnumber idcard idcardnumber nationalid passportnumber 身份证 身份证号 身份证号码 "
        "证件号 证件号码 身份证件号码"
    ),
}

#: Every name that may stand on the left side of ``[columns]``: complainant fields carry a prefix.
PERSON_PREFIX = "complainant_"
ALL_FIELDS = (*FIELDS, *(PERSON_PREFIX + name for name in PERSON_FIELDS))

#: Columns the kit itself adds to a file of refused rows; never mapped, never kept.
OWN_PREFIX = "fieldkit_"

# Who a header speaks of: such a column goes to the complainant or nowhere, never into the complaint.
_PERSON_WORDS = _headers(
    "complainant caller reporter informant petitioner requester requestor applicant submitter "
    "customer 投诉人 举报人 来电人 来访人 信访人 反映人 申请人 诉求人 报案人 当事人"
)
# Parts that make a header personal whoever it speaks of; the accused's telephone is no more to be shown.
_PRIVATE = {
    "identity_number": ("身份证", "idcard"),
    "email": ("email", "邮箱"),
    "phone": ("phone", "电话", "手机"),
    "name": ("姓名",),
}
# The part of a person's header that tells which field it is, the most telling first.
_PERSON_PARTS = {
    "identity_number": ("身份证", "证件", "identity", "idcard", "idnumber"),
    "email": ("email", "mail", "邮箱", "邮件"),
    "phone": ("phone", "tel", "mobile", "contactnumber", "电话", "手机", "号码", "联系方式"),
    "address": ("address", "residence", "地址", "住址"),
    "name": ("name", "姓名", "名称", "称呼"),
}


def plain_header(header: str) -> str:
    """A header without case, width, script (traditional Chinese), spaces, punctuation and a remark in brackets."""
    text = simplified(unicodedata.normalize("NFKC", header).casefold().strip())
    text = re.sub(r"(?<=.)[(\[（【].*?[)\]）】]\s*$", "", text)
    return "".join(c for c in text if c.isalnum())


def person_field(header: str) -> str | None:
    """The complainant's field that a header names (``phone``), ``""`` when personal but of no known kind, else None."""
    plain = plain_header(header)
    for field, names in PERSON_FIELDS.items():
        if plain in names:
            return field
    # A time of a call or a channel is not about a person.
    if any(plain in names for names in FIELDS.values()):
        return None
    private = next((field for field, parts in _PRIVATE.items() if any(part in plain for part in parts)), None)
    if "被投诉" in plain or "被举报" in plain:
        return "" if private else None
    if not any(word in plain for word in _PERSON_WORDS):
        return private
    for field, parts in _PERSON_PARTS.items():
        if any(part in plain for part in parts):
            return field
    return "name" if plain in _PERSON_WORDS else ""


def guess_columns(headers: Sequence[str], said: Mapping[str, str] | None = None) -> dict[str, str]:
    """Guess which of *headers* feeds which field; *said* stands as it is, an empty column switches a field off.

    Returns field -> header. A complainant's fields are called ``complainant_phone`` and so on. No column feeds two
    fields, and a column about a person never feeds the complaint.
    """
    said = said or {}
    chosen = {field: column for field, column in said.items() if column}
    free = [
        h for h in headers if h not in chosen.values() and not h.startswith(OWN_PREFIX) and plain_header(h)
    ]
    for header in list(free):
        field = person_field(header)
        if field is None:
            continue
        free.remove(header)
        if field and PERSON_PREFIX + field not in {*chosen, *said}:
            chosen[PERSON_PREFIX + field] = header
    ranked = sorted(_offers(free), key=lambda offer: offer[0])
    for _, field, header in ranked:
        if field in chosen or field in said or header in chosen.values():
            continue
        if field in ("received_time", "received_hour") and "received_at" not in chosen:
            continue
        chosen[field] = header
    return {field: chosen[field] for field in ALL_FIELDS if field in chosen}


def _offers(headers: Iterable[str]) -> Iterable[tuple[tuple[int, int, int], str, str]]:
    """Every (rank, field, header) that fits; exact names come before Chinese names that a longer header contains."""
    fields = list(FIELDS)
    for header in headers:
        plain = plain_header(header)
        for field, names in FIELDS.items():
            if plain in names:
                # "日期, 时间": the date is found first, and only then the time of day that completes it.
                later = field in ("received_time", "received_hour")
                yield (1 if later else 0, names.index(plain), fields.index(field)), field, header
                continue
            inside = [n for n in names if len(n) >= 2 and not n.isascii() and n in plain]
            if inside and len(plain) <= 16:
                yield (2, -max(map(len, inside)), fields.index(field)), field, header
