"""Traditional Chinese words as the simplified ones that headers and terms are listed in."""

from __future__ import annotations

# Each pair is a simplified character of a listed word, or a near one, and how it is written in traditional script.
_PAIRS = (
    "东東 举舉 乐樂 书書 业業 乡鄉 众眾 会會 体體 内內 养養 况況 划劃 创創 别別 动動 务務 办辦 区區 "
    "医醫 协協 单單 厂廠 厅廳 压壓 县縣 发發 变變 号號 场場 坛壇 备備 声聲 处處 复復 娱娛 宠寵 审審 "
    "对對 导導 尘塵 属屬 广廣 异異 弃棄 当當 录錄 态態 恶惡 扬揚 扰擾 报報 换換 数數 时時 来來 标標 "
    "档檔 检檢 气氣 汇匯 烧燒 烟煙 烟菸 热熱 环環 现現 电電 疗療 码碼 离離 种種 称稱 筑築 类類 系係 "
    "系繫 级級 纬緯 线線 细細 经經 结結 络絡 编編 网網 联聯 装裝 议議 讯訊 记記 论論 设設 访訪 证證 "
    "评評 诉訴 译譯 话話 详詳 请請 调調 车車 转轉 辐輻 辖轄 邮郵 邻鄰 里裡 钟鐘 销銷 镇鎮 长長 门門 "
    "问問 间間 闻聞 险險 题題 项項 领領 风風 饮飲 验驗 点點 陈陳 废廢 径徑 机機 污汙 台臺 关關 质質 "
    "户戶 楼樓 厨廚 层層 员員 团團 园園 岛島 师師 归歸 总總 应應 执執 护護 择擇 担擔 据據 损損 权權 "
    "条條 构構 沟溝 测測 浊濁 涂塗 润潤 满滿 滨濱 灯燈 炉爐 监監 矿礦 确確 积積 稳穩 纪紀 约約 组組 "
    "终終 统統 继繼 续續 维維 综綜 缘緣 职職 营營 补補 规規 视視 觉覺 触觸 计計 订訂 认認 识識 试試 "
    "询詢 说說 诊診 责責 费費 资資 赔賠 轨軌 轮輪 输輸 达達 过過 运運 进進 违違 连連 适適 选選 遗遺 "
    "铁鐵 铺鋪 锅鍋 隐隱 难難 静靜 响響 页頁 顺順 须須 预預 频頻 额額"
)
_SIMPLIFIED = str.maketrans({pair[1]: pair[0] for pair in _PAIRS.split()})
# Words for a complaint and its caller that only offices with traditional script use.
_WORDS = (("陈情", "投诉"), ("检举", "举报"), ("身分证", "身份证"), ("联络", "联系"))


def simplified(text: str) -> str:
    """*text* with the traditional characters and words of headers and terms replaced.

    Meant for comparing, not for showing: it knows the few hundred characters that such words consist of.
    """
    if text.isascii():
        return text
    text = text.translate(_SIMPLIFIED)
    for word, plain in _WORDS:
        text = text.replace(word, plain)
    return text
